"""The grade of certainty: each written rule lowers it as it says, and nothing else does."""

from itertools import pairwise

import pytest

from evaluation.design.verdict import Check, Verdict
from evaluation.errors import NobodyMatchedError
from evaluation.sensitivity.certainty import GRADES, SMALLEST_E_VALUE, SMALLEST_GAMMA, grade_certainty
from evaluation.sensitivity.rows import Row, absent
from evaluation.sensitivity.table import Sensitivity

WANTED = 0.05
BASELINE = Row("baseline", "", value=0.09, low=0.07, high=0.11, p_value=1e-9)
STRONG = (Row("rosenbaum", "horizon", "bound", 1.6, unit="odds"), Row("e_value", "share", "bound", 2.5, low=2.0, unit="ratio"))
CLEAN = (Row("placebo_outcome", "earnings_1", "null", 0.001, -0.02, 0.022, 0.9),)


def verdict(*failed: str) -> Verdict:
    names = {"worst_smd": 0.1, "minimal_detectable_effect": WANTED}
    return Verdict(tuple(Check(name, limit, limit, name not in failed, False) for name, limit in names.items()))


def graded(*rows: Row, baseline: Row = BASELINE, nulls=CLEAN, bounds=STRONG, judged: Verdict | None = None) -> tuple[str, list[str]]:
    found = grade_certainty(judged or verdict(), Sensitivity(baseline, (*rows, *nulls, *bounds), {}, 548))
    return found.grade, [concern.name for concern in found.concerns]


def test_without_a_concern_the_grade_is_high() -> None:
    near = Row("caliper", "0.1", value=0.08, low=0.06, high=0.1)
    assert graded(near) == ("high", [])


LIT = Row("placebo_start", "", "null", 0.05, 0.03, 0.07, 1e-6)
RULES = {
    "a failed design is at most low": ({"judged": verdict("worst_smd")}, (), "low", ["verdict"]),
    "a lit placebo is at most low": ({"nulls": (LIT,)}, (), "low", ["placebo"]),
    "no placebo is at most moderate": ({"nulls": ()}, (), "moderate", ["placebo_missing"]),
    "an answer surely on the other side is a step": ({}, (Row("definition", "strict", value=-0.05, low=-0.07, high=-0.03),), "moderate", ["sign"]),
    "an answer outside and uncertain is a step": ({}, (Row("ratio", "1", value=0.03, low=-0.01, high=0.07),), "moderate", ["interval"]),
    "weak bounds are a step": ({"bounds": (Row("rosenbaum", "time", "bound", SMALLEST_GAMMA - 0.01),)}, (), "moderate", ["hidden_bias"]),
    "a weak E-value is a step": ({"bounds": (Row("e_value", "share", "bound", 3.0, low=SMALLEST_E_VALUE - 0.01),)}, (), "moderate", ["hidden_bias"]),
    "a test that finds nothing bears no hidden bias": (
        {"bounds": (Row("rosenbaum", "time", "bound", why="no_effect"),)},
        (),
        "moderate",
        ["hidden_bias"],
    ),
    "no bound at all is at most moderate": ({"bounds": ()}, (), "moderate", ["hidden_bias_missing"]),
    "an unforeseen stop is at most moderate": ({}, (Row("caliper", "0.1", why="failed"),), "moderate", ["failed"]),
}


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_lowers_the_grade_as_it_is_written(rule: str) -> None:
    given, rows, grade, concerns = RULES[rule]
    assert graded(*rows, **given) == (grade, concerns)


ASIDE = {
    "extremes of lost contact": Row("lost_contact", "control", value=-0.04, low=-0.06, high=-0.02),
    "another success is smaller": Row("definition", "studies", value=0.01, low=-0.01, high=0.03),
    "a part of the people is uncertain": Row("period", "fas=1", value=0.04, low=-0.01, high=0.09, same_people=False),
    "another answer inside the interval is uncertain": Row("ratio", "1", value=0.08, low=-0.01, high=0.17),
    "a probe that does not apply": Row("elsewhere", "", why="table"),
    "a caliper that leaves nobody": absent("caliper", "0.1", NobodyMatchedError("matching: nobody is within the caliper")),
    "the other side, but not surely": Row("definition", "studies", value=-0.01, low=-0.03, high=0.01),
}


@pytest.mark.parametrize("case", ASIDE)
def test_what_no_rule_speaks_of_lowers_nothing(case: str) -> None:
    assert graded(ASIDE[case]) == ("high", [])


def test_one_of_many_placebos_may_be_out_by_chance() -> None:
    chance = tuple(Row("placebo_outcome", f"{number}", "null", 0.02, 0.001, 0.039, 0.04 if number == 0 else 0.5) for number in range(10))
    assert graded(nulls=chance) == ("high", [])


def test_an_uncertain_answer_is_low_unless_effects_of_importance_are_ruled_out() -> None:
    wide = Row("baseline", "", value=0.02, low=-0.03, high=WANTED + 0.02)
    narrow = Row("baseline", "", value=0.005, low=-0.02, high=0.03)
    assert graded(baseline=wide) == ("low", ["uncertain"])
    assert graded(baseline=narrow) == ("high", [])
    assert graded(Row("caliper", "0.1", why="failed"), baseline=narrow) == ("moderate", ["failed"])  # whatever the interval


def test_a_negative_answer_is_held_to_the_same_rules() -> None:
    fewer = Row("baseline", "", value=-0.09, low=-0.11, high=-0.07)
    assert graded(Row("ratio", "1", value=0.05, low=0.03, high=0.07), baseline=fewer) == ("moderate", ["sign"])
    assert graded(Row("ratio", "1", value=-0.1, low=-0.12, high=-0.08), baseline=fewer) == ("high", [])


@pytest.mark.property
def test_every_further_concern_lowers_the_grade_or_leaves_it() -> None:
    steps = [
        graded(),
        graded(bounds=()),
        graded(Row("ratio", "1", value=0.03, low=-0.01, high=0.07), bounds=()),
        graded(Row("ratio", "1", value=0.03, low=-0.01, high=0.07), bounds=(), nulls=()),
        graded(Row("ratio", "1", value=0.03, low=-0.01, high=0.07), bounds=(), nulls=(), judged=verdict("worst_smd")),
    ]
    places = [GRADES.index(grade) for grade, _ in steps]
    assert places == [0, 1, 2, 3, 3]
    assert all(before <= after for before, after in pairwise(places))
