"""Numbers into sentences, in Swedish and English.

Sentences are chosen by rule from the estimates, so that none can say more than its interval: a direction only where the interval excludes zero,
otherwise what can be ruled out. Percentage points are never called per cent, and a hazard ratio never becomes "times faster".
"""

from __future__ import annotations

import datetime as dt
import math
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files

from babel.dates import format_date
from babel.numbers import format_decimal

from evaluation.analysis.estimates import Estimate
from evaluation.analysis.outcomes import TimeUnit
from evaluation.design.designs import AnyDesign
from evaluation.design.matching import MatchingSpec
from evaluation.design.optimal import OptimalSpec
from evaluation.design.pair_rules import PairRules
from evaluation.design.verdict import Check, CheckName
from evaluation.design.weighting import WeightingSpec
from evaluation.plan_sections import Language

MINUS = "−"
SMALLEST_P = 0.001
SURE_P = 0.05  # on which side of it a p-value lies is what it is read for
WHOLE = 1e-6  # what adding up leaves of a whole number
ROUNDING = 1e-9  # percentage points: what is nearer to zero was zero before it was added up
THIN_SPACE = "\u202f"
PLAIN_DECIMALS = range(3, 6)  # of a check that is no share: the fewest that tell its value from its limit
SHARE_DECIMALS: dict[CheckName, range] = {  # of per cent: the first, and more where a check fails by less than it shows
    "share_treated_kept": range(4),
    "equipoise": range(4),
    "minimal_detectable_effect": range(1, 4),
}

# one, many, and many after "the first"
_UNITS: dict[TimeUnit, dict[Language, tuple[str, str, str]]] = {
    TimeUnit.DAY: {"sv": ("dag", "dagar", "dagarna"), "en": ("day", "days", "days")},
    TimeUnit.WEEK: {"sv": ("vecka", "veckor", "veckorna"), "en": ("week", "weeks", "weeks")},
    TimeUnit.TWO_WEEKS: {
        "sv": ("tvåveckorsperiod", "tvåveckorsperioder", "tvåveckorsperioderna"),
        "en": ("two-week period", "two-week periods", "two-week periods"),
    },
    TimeUnit.MONTH: {"sv": ("månad", "månader", "månaderna"), "en": ("month", "months", "months")},
    TimeUnit.YEAR: {"sv": ("år", "år", "åren"), "en": ("year", "years", "years")},
}

_CATALOGUE = files("evaluation.reporting").joinpath("templates/messages.toml")
_MESSAGES: dict[str, dict[Language, str]] = tomllib.loads(_CATALOGUE.read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Voice:
    """One language's words and numbers.

    Attributes
    ----------
    language : {"sv", "en"}
    unit : TimeUnit
        The study's unit of time.
    """

    language: Language
    unit: TimeUnit

    def __call__(self, key: str, **values: object) -> str:
        """Give a message with its values filled in; of a `count` of one, the message for one where there is such."""
        one = f"{key}_one"
        text = _MESSAGES[one if values.get("count") == 1 and one in _MESSAGES else key][self.language]
        return text.format(**values) if values else text

    def has(self, key: str) -> bool:
        """Say whether there is such a message."""
        return key in _MESSAGES

    def number(self, value: float, decimals: int = 1) -> str:
        """Write a number: decimal comma and thin spaces in Swedish, a true minus in both, no minus before a zero."""
        if not math.isfinite(value):
            return "–" if math.isnan(value) else ("∞" if value > 0 else f"{MINUS}∞")
        rounded = round(value, decimals) + 0.0
        pattern = "#,##0." + "0" * decimals if decimals else "#,##0"
        text = format_decimal(rounded, format=pattern, locale=self._locale)
        return text.replace("-", MINUS).replace("\xa0", THIN_SPACE)

    def signed(self, value: float, decimals: int = 1) -> str:
        """Write a number with its sign, unless it rounds to zero."""
        text = self.number(value, decimals)
        return f"+{text}" if round(value, decimals) > 0 else text

    def count(self, count: int) -> str:
        """Write a whole number."""
        return self.number(count, 0)

    def percent(self, share: float, decimals: int = 1) -> str:
        """Write a share as "55,1 procent"."""
        return f"{self.number(100 * share, decimals)} {'procent' if self.language == 'sv' else 'per cent'}"

    def percent_sign(self, share: float, decimals: int = 0) -> str:
        """Write a share with the sign, for axes and intervals."""
        number = self.number(100 * share, decimals)
        return f"{number}{THIN_SPACE}%" if self.language == "sv" else f"{number}%"

    def range(self, low: float, high: float, decimals: int = 1, *, signed: bool = False) -> str:
        """Write an interval as "1,2 till 3,4"; a dash where it has no width, for then how sure its number is could not be computed."""
        if low == high:
            return "–"
        write = self.signed if signed else self.number
        return f"{write(low, decimals)} {self('to')} {write(high, decimals)}"

    def share_range(self, estimate: Estimate) -> str:
        """Write a share's interval in per cent."""
        return self.range(100 * estimate.low, 100 * estimate.high)

    def point_range(self, estimate: Estimate) -> str:
        """Write the interval of a difference of shares in percentage points, with decimals enough to show on which side of zero its ends lie."""
        return self.range(100 * estimate.low, 100 * estimate.high, _decimals(estimate), signed=True)

    def farthest_point(self, estimate: Estimate) -> str:
        """Write how large, up or down, a difference of shares may be: the end of its interval farthest from zero, as the interval writes it."""
        return self.number(100 * max(abs(estimate.low), abs(estimate.high)), _decimals(estimate))

    def points(self, estimate: Estimate) -> str:
        """Write a difference of shares in percentage points."""
        return self.signed(100 * estimate.value)

    def p_value(self, p: float, decimals: int = 3) -> str:
        """Write a p-value in a sentence."""
        number = self.p_number(p, decimals)
        return f"p {number}" if number.startswith("<") else f"p = {number}"

    def p_number(self, p: float, decimals: int = 3) -> str:
        """Write a p-value, never as zero, and one below 5 per cent never as 5 per cent."""
        smallest = next((limit for limit in (SMALLEST_P, 10.0**-decimals) if p < limit), None)
        if smallest is not None:
            return f"< {self.number(smallest, 3 if smallest == SMALLEST_P else decimals)}"
        reached = p < SURE_P and round(p, decimals) >= SURE_P
        return self.number(p, 3 if reached else decimals)

    def units(self) -> str:
        """Give the study's unit of time in the plural."""
        return _UNITS[self.unit][self.language][1]

    def span(self, days: float, *, first: bool = False) -> str:
        """Write a time in the study's unit, such as "26 veckor"; with `first`, as it stands after "de första": "26 veckorna"."""
        amount = self._whole(days / self.unit.days)
        one, many, the_first = _UNITS[self.unit][self.language]
        return f"{self.number(amount, 0 if amount == round(amount) else 1)} {the_first if first else one if amount == 1 else many}"

    def _whole(self, amount: float) -> float:
        """Take 548 days as the 18 months they are: of units that are no whole number of days, half a day and a little is rounding."""
        rounding = 0.0 if self.unit.days.is_integer() else 0.6
        return round(amount) if abs(amount - round(amount)) * self.unit.days <= rounding else amount

    def fine(self) -> Voice:
        """Give the same voice for short times: days, where the study's unit is a month or longer."""
        return self if self.unit.days.is_integer() else replace(self, unit=TimeUnit.DAY)

    def listing(self, words: Sequence[str]) -> str:
        """Write words one after another, "and" before the last."""
        return self("crossed").join([*([", ".join(words[:-1])] if len(words) > 1 else []), *words[-1:]])

    def period(self, begin: float, end: float) -> str:
        """Write a period in the study's unit, such as "3–6 månader"."""
        return f"{self.number(self._whole(begin / self.unit.days), 0)}–{self.span(end)}"

    def day(self, day: dt.date) -> str:
        """Write a day, such as "1 februari 2023"."""
        return format_date(day, "d MMMM y", locale=self._locale)

    def month(self, day: dt.date) -> str:
        """Write the month of a day, such as "februari 2023"."""
        return format_date(day, "MMMM y", locale=self._locale)

    @property
    def _locale(self) -> str:
        return "sv_SE" if self.language == "sv" else "en_GB"

    def amount(self, days: float) -> str:
        """Write a time as a number in the study's unit."""
        return self.number(days / self.unit.days)


def stepped_cells(levels: tuple[float, float], gap: float, ends: tuple[float, float], voice: Voice) -> tuple[str, str, str, str]:
    """Write two means, their difference and its interval: without decimals where they were rounded to whole numbers.

    Parameters
    ----------
    levels : (float, float)
        In the unit they are told in.
    gap : float
    ends : (float, float)
    voice : Voice

    Returns
    -------
    (str, str, str, str)
        An end that whole numbers would write as zero keeps its decimal, for on which side of zero it lies is read from it.
    """
    decimals = 0 if all(_is_whole(level) for level in levels) else 1
    fine = 0 if decimals == 0 and all(round(end) != 0 or _is_whole(end) for end in ends) else 1
    treated, control = (voice.number(level, decimals) for level in levels)
    return treated, control, voice.signed(gap, decimals), voice.range(*ends, fine, signed=True)


def _is_whole(value: float) -> bool:
    return abs(value - round(value)) < WHOLE


def _decimals(estimate: Estimate) -> int:
    ends = 100 * estimate.low, 100 * estimate.high
    return next((places for places in (1, 2, 3) if all(round(end, places) != 0 or abs(end) < ROUNDING for end in ends)), 3)


def excludes_zero(estimate: Estimate) -> bool:
    """Say whether an interval lies on one side of zero."""
    return estimate.low > 0 or estimate.high < 0


def check_value(check: Check, voice: Voice, value: float) -> str:
    """Write a check's value or limit in its own unit, both with as many decimals as tell a failed one from its limit."""
    if check.name == "effective_control":
        return voice.count(round(value))
    decimals = SHARE_DECIMALS.get(check.name)
    if decimals is None:
        return voice.number(value, _apart(check.value, check.limit, PLAIN_DECIMALS))
    places = decimals[0] if check.passed else _apart(100 * check.value, 100 * check.limit, decimals)
    if check.name == "minimal_detectable_effect":
        return voice("in_points", points=voice.number(100 * value, places))
    return voice.percent(value, places)


def _apart(one: float, other: float, decimals: range) -> int:
    """Give the fewest decimals that tell two numbers apart; the first where none do."""
    return next((places for places in decimals if round(one, places) != round(other, places)), decimals[0])


def check_cells(check: Check, voice: Voice, count: Callable[[float], str]) -> tuple[str, str, str, str]:
    """Write a check as a row: what is required, its value, its limit, and whether it was met; `count` writes a number of people.

    A value that, rounded on its way here, no longer looks as it was judged is said to be just under its limit, or just over it.
    """
    value = count(check.value) if check.name == "effective_control" else check_value(check, voice, check.value)
    limit = check_value(check, voice, check.limit)
    beyond = check.value >= check.limit if check.at_least else check.value <= check.limit
    if not check.passed and (value == limit or beyond):
        value = voice("just_under" if check.at_least else "just_over", value=limit)
    if check.passed and value != limit and not beyond:
        value = voice("just_over" if check.at_least else "just_under", value=limit)
    return voice(check.name), value, voice("at_least" if check.at_least else "at_most", limit=limit), voice("passed" if check.passed else "failed")


def check_sentence(check: Check, voice: Voice, count: Callable[[float], str]) -> str:
    """Write a check that failed, with its value and limit."""
    name, value, limit, _ = check_cells(check, voice, count)
    return f"{name[:1].lower()}{name[1:]} ({value}, {limit})"


def design_name(spec: AnyDesign, voice: Voice) -> str:
    """Name a way of building the comparison in a few words."""
    kind = "weights_" if isinstance(spec, WeightingSpec) else ""
    name = voice(f"name_{kind}{spec.method}")
    ratio = f" 1:{spec.ratio}" if isinstance(spec, MatchingSpec | OptimalSpec) else ""
    if not isinstance(spec, PairRules):
        return name
    caliper = voice("without_caliper") if spec.caliper_sd is None else voice("with_caliper", sd=voice.number(spec.caliper_sd, 2))
    return f"{name}{ratio}, {caliper}"


def sentence_case(text: str) -> str:
    """Begin with a capital."""
    return text[:1].upper() + text[1:]
