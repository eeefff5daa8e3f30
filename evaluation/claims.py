"""Which phrases say more than an evaluation can?

An effect is an estimate with an interval, under what cannot be tested. A sentence that calls it proof, that calls it significant without saying how
large it is, that turns a ratio of rates into a speed, or that gives the programme the credit for everybody who succeeded, says more. This is the one
list of such phrases: a plan is refused that has one of them in what it prints, and the pages and their messages are read by it.

What is forbidden is the phrase, not the word: "bevisbörda" and "statistiskt säkerställd" are none of them, and "insignifikant bättre" is none either.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from evaluation.errors import Problem

Language = Literal["sv", "en"]
PLAIN = ("counts", "name", "source")  # keys whose text may be plain, the same in both languages

_BETTER = "bättre|sämre|fler|färre|högre|lägre|större|mindre|snabbare|fortare|tidigare|oftare"
_BETTER_EN = "better|worse|more|fewer|less|higher|lower|larger|smaller|faster|quicker|sooner|earlier|improve[sd]?|increase[sd]?"
_TIMES = "gånger|dubbelt|ggr|[0-9]x"
_FINDING = "write what was found, with its interval"
_BY_HOW_MUCH = "write how large the difference is, with its interval"
_DAYS = "write how many days sooner, with the interval; a ratio of rates is no speed"
_NET = "write the share in both groups and their difference, with its interval; many would have succeeded anyway"


@dataclass(frozen=True)
class Claim:
    """A phrase that says more than an evaluation can.

    Attributes
    ----------
    language : {"sv", "en"}
    pattern : str
        Regular expression, of whole words, read without regard to case; a space stands for any white space.
    instead : str
        What to write.
    examples : tuple of str
        Sentences that hold it.
    """

    language: Language
    pattern: str
    instead: str
    examples: tuple[str, ...]


CLAIMS = (
    Claim(
        "sv", r"(?:bevisa(?:r|t|de|s|ts|des)?|bevisligen|bevis (?:för|på) att)", _FINDING, ("Studien bevisar att", "ett bevis på att", "är bevisat")
    ),
    Claim(
        "sv",
        rf"signifikant[at]? (?:{_BETTER}|effekt\w*|skillnad\w*|förbättr\w*|påverka\w*)",
        _BY_HOW_MUCH,
        ("signifikant bättre", "en signifikant effekt"),
    ),
    Claim(
        "sv",
        rf"(?:{_TIMES}) (?:så |mer )?(?:snabb\w*|fort\w*|bättre|effektiv\w*)",
        _DAYS,
        ("två gånger snabbare", "tre gånger så fort", "dubbelt så fort", "dubbelt så snabbt", "2x snabbare"),
    ),
    Claim(
        "sv",
        r"(?:(?:hälften|varannan|majoriteten|de flesta) (?:\w+ ){0,3}?(?:lyckades|lyckats|lyckas)"
        r"|(?:lyckades|lyckats|lyckas|(?:fick|fått|får) (?:\w+ ){0,2}?(?:arbete|jobb)) (?:\w+ ){0,2}?(?:tack vare|på grund av))",
        _NET,
        ("hälften lyckades", "Hälften av deltagarna lyckades", "lyckades tack vare oss", "hälften har lyckats", "fick jobb tack vare oss"),
    ),
    Claim("en", r"(?:prov(?:e|es|ed|en|ing)|proof (?:that|of))", _FINDING, ("This proves that", "a proven method", "proof that it works")),
    Claim(
        "en",
        rf"(?:significantly (?:{_BETTER_EN})|significant (?:\w+ )?(?:effects?|differences?|improvements?|impact))",
        _BY_HOW_MUCH,
        ("significantly better", "a significant effect", "significant positive impact"),
    ),
    Claim(
        "en",
        r"(?:(?:times|[0-9]x) (?:faster|quicker|better|sooner|(?:as|more) (?:fast|quick\w*|effective\w*))"
        r"|(?:twice|double) (?:as|the) (?:fast|quick\w*|effective|speed))",
        _DAYS,
        ("two times faster", "three times as quickly", "twice as fast", "double the speed", "2x faster"),
    ),
    Claim(
        "en",
        r"(?:(?:half|most|the majority) (?:\w+ ){0,4}?succeed(?:ed)?"
        r"|(?:succeeded|(?:found|got) (?:\w+ ){0,2}?(?:work|jobs?)) (?:\w+ ){0,2}?(?:thanks to|because of|due to))",
        _NET,
        ("half succeeded", "Half of the participants succeeded", "succeeded thanks to us", "got a job thanks to us"),
    ),
)


def find_claims(text: str, language: Language | None = None) -> tuple[tuple[str, str], ...]:
    """Find the phrases in a text that say more than an evaluation can.

    Parameters
    ----------
    text : str
    language : {"sv", "en"}, optional
        Left out: both.

    Returns
    -------
    tuple of (str, str)
        Each phrase as it stands in the text, the words apart by one space, and what to write instead; in the order of the list, then of the text.
    """
    said = [(found, claim.instead) for claim in CLAIMS if language in (None, claim.language) for found in _compiled(claim).findall(text)]
    return tuple(dict.fromkeys((" ".join(found.split()), instead) for found, instead in said))


@cache
def _compiled(claim: Claim) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){claim.pattern}(?!\w)".replace(" ", r"\s+"), re.IGNORECASE)


def claims_of_plan(values: Mapping[str, Any]) -> list[Problem]:
    """Say where a plan claims more than an evaluation can.

    Parameters
    ----------
    values : mapping
        The plan as it is written, section within section; what is no text of the report is not read.

    Returns
    -------
    list of Problem
        Each with its place, such as wording.title.sv, in the order of the plan.
    """
    return [
        Problem(where, f"says more than an evaluation can ('{phrase}')", instead)
        for where, text, language in _texts(values, ())
        for phrase, instead in find_claims(text, language)
    ]


def _texts(value: object, keys: tuple[str, ...]) -> Iterator[tuple[str, str, Language | None]]:
    """Give every text that is printed, with its place and its language; a list's entries are numbered from 0, as the other problems of a plan are."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _texts(inner, (*keys, str(key)))
    elif isinstance(value, list | tuple):
        for place, inner in enumerate(value):
            yield from _texts(inner, (*keys, str(place)))
    elif isinstance(value, str) and keys:
        language: dict[str, Language] = {"sv": "sv", "en": "en"}
        if keys[-1] in language or keys[-1] in PLAIN:
            yield ".".join(keys), value, language.get(keys[-1])
