"""The answer says of how many of whom, and its interval by name and level, the first time."""

from types import SimpleNamespace

import pandas as pd
import pytest

from evaluation.analysis.outcomes import TimeUnit
from evaluation.plan import RegisterPlan, load_plan
from evaluation.plan_sections import Language
from evaluation.registers.schema import Schema
from evaluation.release.passage import release_design
from evaluation.release.rules import release_rules
from evaluation.reporting.answer import _levels_of_people
from evaluation.reporting.disclosure import Gate
from evaluation.reporting.scene import Scene
from evaluation.reporting.wording import Voice

PLAN = load_plan("reports/malmokraften")
NUMBERS = {"horizon": "18", "level": "95", "p": "45", "p_range": "43–47", "q": "40", "q_range": "38–42"}


def said(started: int, compared: int, followed: int | None = None, *, language: Language = "sv", threshold: int = 10, offer: bool = False) -> str:
    assert isinstance(PLAN, RegisterPlan)
    plan = PLAN.model_copy(update={"cohort": PLAN.cohort.model_copy(update={"time_zero": "offer"})}) if offer else PLAN
    steps = [("registered", None, 40_000), ("offered", 4_290, None), ("started", started, None), ("compared", compared, 7_320)]
    attrition = pd.DataFrame(steps, columns=["step", "treated", "control"]).astype({"treated": "Int64", "control": "Int64"})
    comparison = SimpleNamespace(attrition=attrition, n_treated=compared, n_control=7_320)
    cohort = SimpleNamespace(trial="trial")
    design = SimpleNamespace(comparison=comparison, cohort=cohort, balance=SimpleNamespace(table=pd.DataFrame(columns=["variable", "level"])))
    design.balance.table["variance_ratio_before"] = []
    released, _ = release_design(design, release_rules(threshold))
    scene = Scene(plan, Voice(language, TimeUnit.MONTH), Schema("", ()), Gate(threshold), released)
    found = SimpleNamespace(people=(compared if followed is None else followed, 7_320))
    return _levels_of_people(SimpleNamespace(design=design), scene, found, NUMBERS)


@pytest.mark.hand
@pytest.mark.parametrize(
    ("language", "text"),
    [
        (
            "sv",
            "Av de 4\u202f000 personer som började i Malmökraften kunde 3\u202f270 jämföras. Av dem hade 45 (95 procents osäkerhetsintervall 43–47) ",
        ),
        ("en", "Of the 4,000 people who started Malmökraften, 3,270 could be compared. Of them, 45 (95 per cent confidence interval 43–47) had "),
    ],
)
def test_the_answer_says_of_how_many_who_started_it_is(language: Language, text: str) -> None:
    assert said(4_000, 3_270, language=language).startswith(text)


@pytest.mark.hand
def test_the_interval_has_its_name_and_level_the_first_time_only() -> None:
    assert said(4_000, 3_270).count("osäkerhetsintervall") == 1
    assert said(4_000, 3_270).endswith("andelen 40 (38–42).")


@pytest.mark.hand
def test_that_some_cannot_be_followed_so_long_is_said() -> None:
    assert "kunde 2\u202f900 jämföras och följas i 18. Av dem" in said(4_000, 3_270, 2_900)


@pytest.mark.hand
def test_everybody_is_those_who_were_offered_a_place_where_people_are_counted_from_there() -> None:
    assert said(4_000, 3_270, offer=True).startswith("Av de 4\u202f290 personer som erbjöds Malmökraften kunde 3\u202f270 jämföras.")


@pytest.mark.hand
@pytest.mark.parametrize("started", [3_270, 3_272, 3_276], ids=["all", "all but two", "a few left out"])
def test_where_all_or_all_but_few_are_compared_no_other_number_is_set_beside_theirs(started: int) -> None:
    """3,270 and 3,275 side by side would tell of one to nine."""
    assert said(started, 3_270).startswith("Av de 3\u202f270 personer som började i Malmökraften")


@pytest.mark.hand
def test_the_numbers_are_rounded_as_in_the_table_of_steps() -> None:
    assert said(4_002, 3_271, 3_270).startswith("Av de 4\u202f000 personer")
