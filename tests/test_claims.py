"""A phrase that says more than an evaluation can is found wherever it is printed, and no other sentence is taken for one."""

import copy
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evaluation.claims import CLAIMS, Language, claims_of_plan, find_claims
from evaluation.errors import InputError, PlanError
from evaluation.plan import load_plan, read_plan
from evaluation.reporting.blocks import Page, Paragraph, Section
from evaluation.reporting.report import render_page

PROJECT = Path(__file__).parents[1]
PLANS = sorted((PROJECT / "reports").glob("*/plan.toml"))
TEMPLATES = sorted((PROJECT / "evaluation" / "cli" / "templates").glob("*.plan.toml"))
MALMO = tomllib.loads((PROJECT / "reports" / "malmokraften" / "plan.toml").read_text(encoding="utf-8"))
TITLE = "Malmökraften bevisar att hälften lyckades tack vare oss, signifikant bättre och två gånger snabbare"

# The last line of section 12 of the domain notes, the readers' own examples, and the same in English.
FORBIDDEN: list[tuple[Language, str]] = [
    *(("sv", text) for text in ("bevisar", "signifikant bättre", "tre gånger snabbare", "hälften lyckades tack vare", "hälften lyckades")),
    *(
        ("sv", text)
        for text in ("dubbelt så fort", "DUBBELT SÅ SNABBT", "1,7 gånger fortare", "Hälften av dem har lyckats", "fick arbete tack vare oss")
    ),
    *(("en", text) for text in ("proves", "significantly better", "three times faster", "half succeeded", "half of them succeeded thanks to us")),
    *(("en", text) for text in ("twice as fast", "double the speed", "has been proven", "a significant effect", "found work because of us")),
]
ALLOWED: list[tuple[Language, str]] = [
    *(("sv", text) for text in ("insignifikant bättre", "bevisbördan", "är inte statistiskt säkerställd", "flera gånger samma år", "intygat")),
    *(
        ("sv", text)
        for text in ("tack vare statistik från AF", "hälften av deltagarna är kvinnor", "ingen lyckades få kontakt", "dubbelt så bra som kravet")
    ),
    *(("en", text) for text in ("improves", "the province", "insignificantly better", "approved", "several times a year", "half of them are women")),
    *(("en", text) for text in ("because of the pandemic", "twice as good as asked", "not statistically certain", "provenance", "success")),
]


@pytest.mark.hand
@pytest.mark.parametrize(("language", "text"), FORBIDDEN)
def test_a_phrase_that_claims_too_much_is_found_with_what_to_write_instead(language: Language, text: str) -> None:
    found = find_claims(f"Malmö: {text}.", language)
    assert found
    assert all(instead.startswith("write ") for _, instead in found)
    assert find_claims(f"Malmö: {text.replace(' ', chr(160))}\n".replace(" ", "\n"), language)


@pytest.mark.hand
@pytest.mark.parametrize(("language", "text"), ALLOWED)
def test_an_ordinary_sentence_is_not_taken_for_a_claim(language: Language, text: str) -> None:
    assert find_claims(text, language) == find_claims(text) == ()


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: f"{claim.language} {claim.examples[0]}")
def test_every_entry_finds_its_own_examples_and_no_other_entry_does(claim: Any) -> None:
    for example in claim.examples:
        assert [instead for _, instead in find_claims(example)] == [claim.instead]


@pytest.mark.parametrize("plan", [*PLANS, *TEMPLATES], ids=lambda plan: f"{plan.parent.name}/{plan.name}")
def test_no_plan_of_the_project_claims_too_much(plan: Path) -> None:
    assert find_claims(plan.read_text(encoding="utf-8")) == ()


def test_a_plan_that_claims_too_much_is_refused_with_every_claim_and_every_other_problem(tmp_path: Path) -> None:
    written = (PROJECT / "reports" / "malmokraften" / "plan.toml").read_text(encoding="utf-8")
    title = 'title.sv = "Malmökraften: effekt på arbete och studier"'
    assert title in written
    (tmp_path / "plan.toml").write_text(written.replace(title, f'title.sv = "{TITLE}"\ntytle = "x"'), encoding="utf-8")
    with pytest.raises(PlanError, match=r"plan\.toml \(5 problems\):") as caught:
        load_plan(tmp_path)
    told = [line.split(". ", 1)[1] for line in str(caught.value).splitlines()[1:]]
    assert told[0] == "wording.tytle: is not a key of the plan; did you mean title?"
    assert told[1] == "wording.title.sv: says more than an evaluation can ('bevisar'); write what was found, with its interval"
    quoted = [line.split("'")[1] for line in told[1:]]
    assert quoted == ["bevisar", "signifikant bättre", "gånger snabbare", "hälften lyckades"]


@pytest.mark.parametrize(
    ("path", "where"),
    [
        (("wording", "limitations", 1, "en"), "wording.limitations.1.en"),
        (("registers", "source", "sv"), "registers.source.sv"),
        (("goals", "versions", 0, "source"), "goals.versions.0.source"),
        (("costs", "budgets", 2, "name", "en"), "costs.budgets.2.name.en"),
    ],
    ids=str,
)
def test_a_claim_is_found_in_every_text_that_is_printed(path: tuple[str | int, ...], where: str) -> None:
    values: Any = copy.deepcopy(MALMO)
    section = values
    for key in path[:-1]:
        section = section[key]
    section[path[-1]] = "proves" if path[-1] != "sv" else "bevisar"
    assert [claim.where for claim in claims_of_plan(values)] == [where]
    with pytest.raises(PlanError, match=rf"plan \(1 problem\):\n  1\. {where}: says more than an evaluation can"):
        read_plan(values)


def test_a_phrase_of_the_other_language_is_looked_for_in_a_text_that_is_the_same_in_both() -> None:
    assert [claim.where for claim in claims_of_plan({"source": "a survey that bevisar", "title": {"en": "bevisar"}})] == ["source"]


@pytest.mark.parametrize(("language", "said"), [("sv", "Programmet bevisar"), ("en", "It proves")])
def test_a_page_that_claims_too_much_is_not_set(language: Language, said: str) -> None:
    page = Page(
        language=language,
        version="1",
        mark="",
        kind="",
        title="",
        question="",
        skip="",
        other_file="",
        other_language="en",
        other_label="",
        sections=(Section("answer", "", (Paragraph("-"),), "answer"),),
    )
    assert "<h1" in render_page("report.html.j2", page)
    with pytest.raises(InputError, match=rf"page: says more than an evaluation can \('{said.split()[1]}'\); write what was found"):
        render_page("report.html.j2", replace(page, sections=(Section("answer", "", (Paragraph(said),), "answer"),)))
