"""A stack of trials: who may be matched with whom, how people in several trials vary together, weights that change, and horizons not all reach."""

import warnings
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

from evaluation.analysis.clusters import Clusters
from evaluation.analysis.curves import EffectSpec, estimate_curves
from evaluation.analysis.effects import estimate_effects
from evaluation.analysis.outcomes import FollowUp, TimeUnit, TimeWeights
from evaluation.design.cohort import Cohort, cohort_from_table, cohort_from_trials
from evaluation.design.comparison import Comparison
from evaluation.design.matching import MatchingSpec, match_cohort
from evaluation.design.propensity import Overlap, PropensityScores, estimate_propensity
from evaluation.design.sets import comparison_from_sets
from evaluation.errors import InputError, UnmatchedWarning

SAME_ARITHMETIC = 1e-10  # two algorithms for one formula
BRUTE_FORCE = 1e-6  # central differences of step 1e-4
STEP = 1e-4
ASKED = EffectSpec(horizons_days=(40, 80), rmst_days=80, success=("work",))


class Stack(NamedTuple):
    cohort: Cohort
    comparison: Comparison
    follow_up: FollowUp


def table_of(seed: int, people: int = 60, trials: int = 4) -> pd.DataFrame:
    """Everybody is at risk in some trials in a row; some start in the last of theirs and were controls before."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(people):
        first, starts = rng.integers(0, trials), rng.random() < 0.4
        last = rng.integers(first, trials)
        age = float(rng.integers(20, 60))
        rows += [
            {
                "person": f"p{number}",
                "trial": f"2020-{trial + 1:02}",
                "treated": int(starts and trial == last),
                "age": age + trial,
                "sex": "mk"[number % 2],
            }
            for trial in range(first, last + 1)
        ]
    frame = pd.DataFrame(rows)
    frame["days"] = np.round(rng.exponential(60, len(frame)), 1) + 0.1
    frame["exit"] = rng.choice(["censored", "work", "sick"], len(frame), p=[0.2, 0.6, 0.2])
    return frame


def cohort_of(frame: pd.DataFrame) -> Cohort:
    return cohort_from_trials(frame, treated="treated", covariates=["age"], person="person", trial="trial", strata=["sex"])


def follow(frame: pd.DataFrame, cohort: Cohort, **more: object) -> FollowUp:
    state = pd.Categorical(frame["exit"], categories=["censored", "work", "sick"])
    days = frame["days"].to_numpy(dtype=float)
    return FollowUp(person=cohort.person, days=days, state=state, horizon=float(days.max()), unit=TimeUnit.DAY, **more)


def at(cohort: Cohort, positions: np.ndarray) -> PropensityScores:
    return PropensityScores(positions, positions, pd.DataFrame(), auc=0.5, overlap=Overlap(1.0, 0), sd_score=1.0, sd_logit=1.0)


def match(cohort: Cohort, **options: object) -> Comparison:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnmatchedWarning)
        return match_cohort(cohort, at(cohort, cohort.covariates["age"].to_numpy() / 10), MatchingSpec(caliper_sd=None, **options))


def stack(seed: int, **more: object) -> Stack:
    frame = table_of(seed)
    cohort = cohort_of(frame)
    return Stack(cohort, match(cohort, ratio=2, replace=True), follow(frame, cohort, **more))


# ---- who may be matched


@pytest.mark.hand
def test_a_person_may_wait_in_one_trial_and_start_in_the_next() -> None:
    rows = [("a", "1", 1, 30), ("b", "1", 0, 31), ("c", "1", 0, 50), ("b", "2", 1, 32), ("c", "2", 0, 51), ("d", "2", 0, 33)]
    frame = pd.DataFrame(rows, columns=["person", "trial", "treated", "age"])
    cohort = cohort_from_trials(frame, treated="treated", covariates=["age"], person="person", trial="trial")
    sets = match(cohort).sets
    assert {tuple(group["person"]) for _, group in sets.groupby("set")} == {("a", "b"), ("b", "d")}
    assert cohort.attrition.to_dict("records") == [{"step": "in_table", "treated": 2, "control": 3}]


@pytest.mark.property
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    "options", [{}, {"replace": True}, {"ratio": 3, "max_trials": 1}, {"ratio": 2, "replace": True, "max_reuse": 2, "max_trials": 2}]
)
def test_nobody_is_matched_across_trials_or_with_themselves_or_too_often(seed: int, options: dict) -> None:
    frame = table_of(seed, people=120)
    cohort = cohort_of(frame)
    comparison = match(cohort, **options)
    members = frame.iloc[comparison.member_row].assign(set=comparison.member_set)
    assert (members.groupby("set")["trial"].nunique() == 1).all()
    assert not members.duplicated(["set", "person"]).any()
    control = members[members["treated"] == 0]
    assert control.groupby(["person", "trial"]).size().max() <= (options.get("max_reuse", 10**6) if options.get("replace") else 1)
    assert control.groupby("person")["trial"].nunique().max() <= options.get("max_trials", 10**6)
    assert comparison.n_control == control["person"].nunique()


@pytest.mark.property
@pytest.mark.parametrize("max_trials", [None, 1])
def test_what_happens_in_later_trials_moves_no_earlier_match(max_trials: int | None) -> None:
    frame = table_of(3, people=200)
    early = frame[frame["trial"] <= "2020-02"]
    found = []
    for table in (frame, early):
        cohort = cohort_of(table)
        sets = match(cohort, ratio=2, max_trials=max_trials).sets.assign(trial=lambda s, c=cohort: "")
        row = match(cohort, ratio=2, max_trials=max_trials).member_row
        sets["trial"] = cohort.column("trial").astype(str).to_numpy()[row]
        kept = sets[sets["trial"] <= "2020-02"]
        found.append({(trial, frozenset(group["person"])) for (trial, _), group in kept.groupby(["trial", "set"])})
    assert found[0] == found[1]


@pytest.mark.hand
def test_where_each_trial_matches_for_itself_a_control_is_used_up_for_later_ones() -> None:
    rows = [("a", "1", 1, 30), ("c", "1", 0, 30), ("e", "1", 0, 60), ("b", "2", 1, 30), ("c", "2", 0, 30), ("d", "2", 0, 50)]
    frame = pd.DataFrame(rows, columns=["person", "trial", "treated", "age"])
    cohort = cohort_from_trials(frame, treated="treated", covariates=["age"], person="person", trial="trial")
    often, once = ({tuple(g["person"]) for _, g in match(cohort, max_trials=most).sets.groupby("set")} for most in (None, 1))
    assert often == {("a", "c"), ("b", "c")}
    assert once == {("a", "c"), ("b", "d")}


@pytest.mark.property
def test_a_match_of_a_stack_taken_out_and_brought_back_is_the_same() -> None:
    cohort = cohort_of(table_of(1))
    comparison = match(cohort, ratio=2)
    sets = comparison.sets.assign(trial=cohort.column("trial").astype(str).to_numpy()[comparison.member_row])
    again = comparison_from_sets(cohort, sets, weights="weight")
    assert (again.member_row == comparison.member_row).all()
    assert (again.weights == comparison.weights).all()


@pytest.mark.property
def test_one_trial_is_a_table_with_one_row_per_person() -> None:
    rng = np.random.default_rng(8)
    frame = pd.DataFrame({"person": [f"p{n}" for n in range(80)], "treated": np.arange(80) % 3 == 0, "age": rng.normal(40, 10, 80), "trial": "only"})
    flat = cohort_from_table(frame, treated="treated", covariates=["age"], person="person")
    trial = cohort_from_trials(frame, treated="treated", covariates=["age"], person="person", trial="trial")
    assert (estimate_propensity(flat).score == estimate_propensity(trial).score).all()
    one, other = match(flat, ratio=2), match(trial, ratio=2)
    assert (one.weights == other.weights).all()
    assert one.effective_control == other.effective_control


@pytest.mark.hand
def test_a_person_twice_in_a_trial_is_refused_without_being_named() -> None:
    frame = pd.DataFrame({"who": ["secret", "secret", "b"], "trial": ["1", "1", "1"], "treated": [1, 0, 0], "age": [1, 2, 3]})
    with pytest.raises(InputError, match="must be unique within trial") as error:
        cohort_from_trials(frame, treated="treated", covariates=["age"], person="who", trial="trial")
    assert "secret" not in str(error.value)


# ---- how people in several trials vary together


@pytest.mark.property
@pytest.mark.parametrize("seed", range(5))
def test_the_variance_adds_sets_and_persons_and_takes_away_what_is_counted_twice(seed: int) -> None:
    comparison = stack(seed).comparison
    clusters = Clusters.of(comparison)
    influence = np.random.default_rng(seed).normal(size=len(comparison.rows))
    person = comparison.person[comparison.rows]
    assert person.has_duplicates
    rows = pd.DataFrame({"set": clusters.code, "person": person[clusters.member], "part": influence[clusters.member] * clusters.share})
    expected = sum(sign * (rows.groupby(by)["part"].sum() ** 2).sum() for sign, by in ((1, ["set"]), (1, ["person"]), (-1, ["set", "person"])))
    assert clusters.variance(influence) == pytest.approx(expected, rel=SAME_ARITHMETIC)
    assert clusters.covariance(influence[:, None])[0, 0] == pytest.approx(expected, rel=SAME_ARITHMETIC)


@pytest.mark.property
@pytest.mark.parametrize("seed", range(3))
def test_a_curve_of_a_stack_has_at_every_exit_day_what_an_estimate_for_that_day_has(seed: int) -> None:
    assert_curve_is_made_of_estimates(stack(seed))


def assert_curve_is_made_of_estimates(study: Stack) -> None:
    table = estimate_curves(*study, ASKED).table
    inside = table[(table["state"] == "any") & (table["days"] < 100)]
    days = tuple(np.unique(inside["days"]))
    effects = estimate_effects(*study, EffectSpec(horizons_days=days, rmst_days=None, success=("work",)))
    for row in inside.to_dict("records"):
        estimate = effects.arms[row["arm"]].risk[row["days"]]
        assert row["probability"] == pytest.approx(estimate.value, abs=SAME_ARITHMETIC)
        assert row["std_error"] == pytest.approx(estimate.std_error, abs=SAME_ARITHMETIC)


# ---- weights that change with time


def cut(days: np.ndarray, factor: float = 1.0, every: float = 30.0) -> TimeWeights:
    """Cut each follow-up at day 30, 60, ...; the pieces' factors are 1, `factor`, `factor` squared, ..., a little different for each row."""
    pieces = [
        (row, start, min(start + every, end), factor ** (start // every * (1 + row % 3)))
        for row, end in enumerate(days)
        for start in np.arange(0, end, every)
    ]
    row, start, stop, factors = (np.array(column) for column in zip(*pieces, strict=True))
    return TimeWeights(row.astype(np.intp), start.astype(float), stop.astype(float), factors.astype(float))


@pytest.mark.property
@pytest.mark.parametrize("seed", range(3))
def test_cutting_follow_up_into_pieces_of_the_same_weight_changes_nothing(seed: int) -> None:
    plain = stack(seed)
    pieces = plain._replace(follow_up=replace(plain.follow_up, weights=cut(plain.follow_up.days)))
    one, other = (estimate_effects(*study, ASKED) for study in (plain, pieces))
    for day in ASKED.horizons_days:
        assert other.risk_difference[day].value == pytest.approx(one.risk_difference[day].value, abs=SAME_ARITHMETIC)
        assert other.risk_difference[day].influence == pytest.approx(one.risk_difference[day].influence, abs=SAME_ARITHMETIC)
    assert other.rmst_difference.influence == pytest.approx(one.rmst_difference.influence, abs=1e-8)
    a, b = (estimate_curves(*study, ASKED).table for study in (plain, pieces))
    assert b["std_error"].to_numpy() == pytest.approx(a["std_error"].to_numpy(), abs=SAME_ARITHMETIC)
    assert other.hazard_ratio is None
    assert other.log_rank is None


@pytest.mark.property
@pytest.mark.parametrize("seed", range(3))
def test_a_curve_with_changing_weights_has_what_estimates_have(seed: int) -> None:
    plain = stack(seed)
    assert_curve_is_made_of_estimates(plain._replace(follow_up=replace(plain.follow_up, weights=cut(plain.follow_up.days, 1.3))))


def weighted_share(frame: pd.DataFrame, weight: np.ndarray, pieces: TimeWeights, horizon: float) -> float:
    """Aalen-Johansen, day by day, by looping."""
    still, share = 1.0, 0.0
    for day in sorted(set(frame.loc[frame["exit"] != "censored", "days"])):
        if day > horizon:
            break
        holds = (pieces.start < day) & (day <= pieces.stop)
        factor = np.zeros(len(frame))
        factor[pieces.row[holds]] = pieces.factor[holds]
        w = weight * factor
        leaving = (frame["days"] == day).to_numpy()
        total = w[(frame["days"] >= day).to_numpy()].sum()
        if total > 0:
            share += still * w[leaving & (frame["exit"] == "work").to_numpy()].sum() / total
            still *= 1 - w[leaving & (frame["exit"] != "censored").to_numpy()].sum() / total
    return share


@pytest.mark.property
@pytest.mark.parametrize("seed", range(3))
def test_shares_with_changing_weights_and_their_influence_are_those_of_a_loop(seed: int) -> None:
    cohort, comparison, follow_up = stack(seed)
    frame = table_of(seed)
    pieces = cut(follow_up.days, 1.3)
    effects = estimate_effects(cohort, comparison, replace(follow_up, weights=pieces), ASKED)
    for arm in ("treated", "control"):
        inside = cohort.treated == (arm == "treated")
        weight = np.where(inside, comparison.weights, 0.0)
        estimate = effects.arms[arm].risk[80]
        assert estimate.value == pytest.approx(weighted_share(frame, weight, pieces, 80), abs=SAME_ARITHMETIC)
        for position in range(0, len(comparison.rows), 7):
            row = comparison.rows[position]
            up, down = weight.copy(), weight.copy()
            up[row] *= 1 + STEP
            down[row] *= 1 - STEP
            slope = (weighted_share(frame, up, pieces, 80) - weighted_share(frame, down, pieces, 80)) / (2 * STEP)
            assert estimate.influence[position] == pytest.approx(slope, abs=BRUTE_FORCE)


# ---- horizons that not everybody reaches


@pytest.mark.property
def test_at_a_horizon_only_those_count_whose_registers_reach_it() -> None:
    frame = table_of(5)
    reach = frame["trial"].map({"2020-01": 100.0, "2020-02": 100.0, "2020-03": 60.0, "2020-04": 0.0}).to_numpy()
    frame.loc[frame["days"] > reach, ["exit"]] = "censored"
    frame["days"] = np.minimum(frame["days"], np.maximum(reach, 0.5))
    cohort = cohort_of(frame)
    comparison = match(cohort, ratio=2, replace=True)
    effects = estimate_effects(cohort, comparison, follow(frame, cohort, reach=reach), ASKED)
    for horizon in ASKED.horizons_days:
        inside = reach[comparison.rows] >= horizon
        kept = replace(comparison, weights=np.where(reach >= horizon, comparison.weights, 0.0), rows=comparison.rows[inside])
        member = reach[comparison.member_row] >= horizon
        kept = replace(kept, member_row=kept.member_row[member], member_set=kept.member_set[member], member_weight=kept.member_weight[member])
        alone = estimate_effects(cohort, kept, follow(frame, cohort), EffectSpec(horizons_days=(horizon,), rmst_days=None, success=("work",)))
        ours, theirs = effects.risk_difference[horizon], alone.risk_difference[horizon]
        assert ours.value == pytest.approx(theirs.value, abs=SAME_ARITHMETIC)
        assert ours.std_error == pytest.approx(theirs.std_error, abs=SAME_ARITHMETIC)
        assert ours.n <= frame[(reach >= horizon)]["person"].nunique() + effects.arms["treated"].n


@pytest.mark.hand
def test_a_sum_of_estimates_is_an_estimate_of_the_sum() -> None:
    effects = estimate_effects(*stack(2), ASKED)
    arm = effects.arms["control"]
    both = arm.cumulative_incidence["work", 80] + arm.cumulative_incidence["sick", 80]
    every = estimate_effects(*stack(2), EffectSpec(horizons_days=(80,), rmst_days=None)).arms["control"].risk[80]
    assert both.value == pytest.approx(every.value, abs=SAME_ARITHMETIC)
    assert both.std_error == pytest.approx(every.std_error, abs=SAME_ARITHMETIC)
    assert both.interval == "log-log"
