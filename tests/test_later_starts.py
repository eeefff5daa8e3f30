"""Controls taken out at their own start: weights by hand, what may not move them, and a bias that plain censoring has and weighting has not."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from evaluation.analysis import person_months
from evaluation.analysis.curves import EffectSpec
from evaluation.analysis.effects import estimate_effects
from evaluation.analysis.later_starts import CensoringSpec, censor_later_starts
from evaluation.analysis.outcomes import FollowUp, TimeUnit
from evaluation.design.cohort import cohort_from_table, cohort_from_trials
from evaluation.design.sets import comparison_from_sets
from evaluation.errors import InputError, UnmatchedWarning

SAME_ARITHMETIC = 1e-7  # Newton's steps stop at 1e-7 standard deviations of a column
SAME_OPTIMUM = 1e-6  # relative; the same maximum reached over other sums
SIMULATION_ERRORS = 3  # a right method fails one check in 370; the seeds are fixed
STATES = ["censored", "work", "sick"]


def follow(cohort, days, exit, later):
    """Follow the cohort's rows; `exit` numbers STATES."""
    days, later = np.asarray(days, dtype=float), np.asarray(later, dtype=float)
    return FollowUp(cohort.person, days, pd.Categorical.from_codes(list(exit), STATES), float(days.max()), TimeUnit.DAY, later_start=later)


def study_of(people):
    """Compare everybody in pairs; columns side, index, days, exit, later, and covariates."""
    covariates = [name for name in people.columns if name not in ("side", "index", "days", "exit", "later", "person", "set", "duration_band")]
    strata = [name for name in people.columns if name == "duration_band"]
    cohort = cohort_from_table(people, treated="side", covariates=covariates, person="person", index_date="index", strata=strata)
    return cohort, comparison_from_sets(cohort, people[["person", "set"]]), follow(cohort, people["days"], people["exit"], people["later"])


# ---- by hand: twenty pairs from the 10th of January; of the controls 5 start in February, 5 of the 15 left in April, the others stay to day 140


@pytest.fixture
def twenty_pairs():
    people = pd.DataFrame({"side": [1] * 20 + [0] * 20, "days": 140.0, "exit": 0, "later": np.inf})
    people["index"], people["person"], people["set"] = pd.Timestamp("2018-01-10"), [f"p{number}" for number in range(40)], [*range(20), *range(20)]
    people["age"] = np.tile([30.0, 40.0], 20)
    people.loc[20:24, "later"], people.loc[25:29, "later"] = 30.0, 100.0
    people.loc[39, ["days", "exit"]] = [90.0, 1]  # works from the 10th of April, which is seen for a third
    people.loc[38, ["days", "exit", "later"]] = [140.0, 1, 140.0]  # works from the day of the own start
    return people


@pytest.fixture
def by_hand(twenty_pairs):
    cohort, comparison, follow_up = study_of(twenty_pairs)
    constant = replace(cohort, covariates=cohort.covariates[["age"]] * 0)
    return censor_later_starts(constant, comparison, follow_up)


def pieces(follow_up, row):
    weights = follow_up.weights
    mine = weights.row == row
    return list(zip(weights.start[mine], weights.stop[mine], weights.factor[mine], strict=True))


@pytest.mark.hand
def test_controls_end_at_their_own_start_and_nobody_else_does(by_hand):
    follow_up, model = by_hand
    assert follow_up.days[:20].tolist() == [140] * 20
    assert follow_up.days[20:].tolist() == [30] * 5 + [100] * 5 + [140] * 9 + [90]
    assert follow_up.state.astype(str)[20:].tolist() == ["censored"] * 18 + ["work"] * 2
    assert model.started == 10


@pytest.mark.hand
def test_factors_are_one_over_the_chance_of_not_having_started(by_hand):
    follow_up, model = by_hand
    february, april = 5 / 20, 5 / (5 + 9 + 10 / 30)  # fifteen were at risk in April, one of them for ten of its thirty days
    stayed = [
        (0, 21, 1),
        (21, 49, (1 - february) ** -0.5),
        (49, 80, 1 / (1 - february)),  # nobody starts in March
        (80, 110, 1 / (1 - february) * (1 - april) ** -0.5),
        (110, 140, 1 / (1 - february) / (1 - april)),
    ]
    assert np.array(pieces(follow_up, 35)) == pytest.approx(np.array(stayed), rel=SAME_ARITHMETIC)
    assert np.array(pieces(follow_up, 39)) == pytest.approx(np.array([*stayed[:3], (80, 90, stayed[3][2])]), rel=SAME_ARITHMETIC)
    assert np.array(pieces(follow_up, 20)) == pytest.approx(np.array([stayed[0], (21, 30, stayed[1][2])]), rel=SAME_ARITHMETIC)
    assert pieces(follow_up, 0) == [(0, 140, 1)]
    assert model.largest_weight == pytest.approx(stayed[-1][2], rel=SAME_ARITHMETIC)
    at_end = [stayed[1][2]] * 5 + [stayed[3][2]] * 6 + [stayed[4][2]] * 9
    assert model.effective_control == pytest.approx(sum(at_end) ** 2 / sum(np.square(at_end)), rel=SAME_ARITHMETIC)


@pytest.mark.hand
def test_the_months_tell_who_was_at_risk_and_who_started(by_hand):
    table = by_hand[1].to_frame()
    assert table["month"].tolist() == [0, 1, 2, 3, 4]
    assert table["at_risk"].tolist() == [20, 20, 15, 15, 9]
    assert table["started"].tolist() == [0, 5, 0, 5, 0]
    assert table["mean_weight"].iloc[[0, 2]].tolist() == pytest.approx([1, 4 / 3], rel=SAME_ARITHMETIC)
    assert table["largest_weight"].tolist() == pytest.approx(table["mean_weight"].tolist())  # all are alike


@pytest.mark.hand
def test_fewer_than_five_starts_a_coefficient_are_few(by_hand):
    model = by_hand[1]
    assert len(model.coefficients) == 2  # April against February, and time: 10 starts are just enough
    assert not model.few
    assert replace(model, by_month=model.by_month.assign(started=[0, 5, 0, 4, 0])).few
    assert not replace(model, by_month=model.by_month.assign(started=0), coefficients=model.coefficients[:0]).few


@pytest.mark.hand
def test_large_weights_are_cut_and_counted(twenty_pairs):
    follow_up, model = censor_later_starts(*study_of(twenty_pairs), CensoringSpec(largest_weight=1.5))
    assert follow_up.weights.factor.max() == model.largest_weight == 1.5
    assert model.cut == 15
    assert censor_later_starts(*study_of(twenty_pairs))[1].cut == 0


@pytest.mark.hand
def test_where_nobody_starts_later_everybody_weighs_one(twenty_pairs):
    follow_up, model = censor_later_starts(*study_of(twenty_pairs.assign(later=np.inf)))
    assert set(follow_up.weights.factor) == {1.0}
    assert follow_up.days.tolist() == twenty_pairs["days"].tolist()
    assert (model.started, model.largest_weight, model.cut, len(model.coefficients)) == (0, 1, 0, 0)
    assert model.effective_control == pytest.approx(20)


def test_where_all_controls_start_at_once_nothing_fails(twenty_pairs):
    twenty_pairs.loc[20:, ["later", "days"]] = [30.0, 140.0]
    follow_up, model = censor_later_starts(*study_of(twenty_pairs))
    assert set(follow_up.weights.factor) == {1.0}
    assert model.started == 20


@pytest.mark.hand
def test_the_duration_band_is_in_the_model_where_there_is_one(twenty_pairs):
    banded = study_of(twenty_pairs.assign(duration_band=np.resize(["long", "long", "short"], 40)))
    assert "duration_band[T.short]" in set(censor_later_starts(*banded)[1].coefficients["term"])
    without = censor_later_starts(*banded, CensoringSpec(strata=()))[1]
    assert not without.coefficients["term"].str.startswith("duration_band").any()


# ---- a world in which the ready start sooner and leave sooner, and the programme does nothing


def world(seed, pairs=2_000):
    rng = np.random.default_rng(seed)
    people = pd.DataFrame({"side": np.repeat([1, 0], pairs), "person": [f"p{number}" for number in range(2 * pairs)], "set": [*range(pairs)] * 2})
    ready, people["age"] = rng.random(2 * pairs) < 0.5, rng.normal(size=2 * pairs)
    people["ready"] = np.where(ready, "yes", "no")
    month = np.datetime64("2017-01") + rng.integers(0, 6, 2 * pairs)
    people["index"] = month.astype("datetime64[D]") + rng.integers(0, 28, 2 * pairs)
    index = people["index"].to_numpy().astype("datetime64[D]")
    exit_day = np.ceil(rng.exponential(1_000 / np.exp(1.0 * ready + 0.5 * people["age"])))
    begin = ((month + 1).astype("datetime64[D]") - index).astype(int)
    start = begin + np.floor(rng.exponential(800 / np.exp(0.9 * ready + 0.5 * people["age"])))
    end = (np.datetime64("2019-12-31") - index).astype(int)
    people["later"] = np.where(people["side"] == 1, np.inf, start)
    people["days"], people["exit"] = np.minimum(exit_day, end), (exit_day <= end).astype(int)
    return people


@pytest.fixture(scope="module")
def small_world():
    return world(7, pairs=300)


@pytest.mark.recovery
def test_weighting_takes_away_the_bias_of_plain_censoring():
    spec = EffectSpec(horizons_days=(547,), rmst_days=547)
    found = []
    for seed in range(12):
        study = study_of(world(seed))
        weighted, _ = censor_later_starts(*study)
        plain = replace(weighted, weights=None)
        effects = [estimate_effects(*study[:2], follow_up, spec) for follow_up in (weighted, plain)]
        found.append([[each.risk_difference[547].value, each.rmst_difference.value / 547] for each in effects])
    mean, error = np.mean(found, axis=0), np.std(found, axis=0) / np.sqrt(len(found))
    assert (np.abs(mean[0]) < SIMULATION_ERRORS * error[0]).all()
    assert (np.abs(mean[0]) < 0.01).all()  # a percentage point; a hundredth of eighteen months
    assert (np.abs(mean[1]) > 2 * SIMULATION_ERRORS * error[1]).all()
    assert mean[1][0] > 0.03  # the controls who are left are the less ready, so the programme seems to help


@pytest.mark.property
def test_factors_begin_at_one_never_fall_and_cover_the_whole_follow_up(small_world):
    follow_up, _ = censor_later_starts(*study_of(small_world))
    table = pd.DataFrame(vars(follow_up.weights))
    rows = table.groupby("row")
    assert table["row"].is_monotonic_increasing
    assert rows["start"].first().eq(0).all()
    assert rows["stop"].last().to_numpy().tolist() == follow_up.days.tolist()
    follows = ~table["row"].ne(table["row"].shift())
    assert table["start"][follows].eq(table["stop"].shift()[follows]).all()
    assert (table["stop"] > table["start"]).all()
    assert rows["factor"].first().eq(1).all()
    assert rows["factor"].diff().dropna().ge(0).all()


@pytest.mark.property
def test_the_order_of_the_rows_moves_no_weight_by_a_bit(small_world):
    cohort, comparison, follow_up = study_of(small_world)
    first, model = censor_later_starts(cohort, comparison, follow_up)
    shuffled = small_world.sample(frac=1, random_state=3).reset_index(drop=True)
    other, other_model = censor_later_starts(*study_of(shuffled))

    def by_person(follow_up):
        table = pd.DataFrame(vars(follow_up.weights)).assign(person=lambda table: follow_up.person[table["row"]]).drop(columns="row")
        return table.sort_values(["person", "start"], ignore_index=True)

    pd.testing.assert_frame_equal(by_person(first), by_person(other), check_exact=True)
    pd.testing.assert_frame_equal(model.coefficients, other_model.coefficients, check_exact=True)
    pd.testing.assert_frame_equal(model.to_frame(), other_model.to_frame(), check_exact=True)


@pytest.mark.property
def test_what_becomes_of_people_afterwards_moves_no_weight(small_world):
    """To which state somebody leaves, how the treated fare, and starts after the exit are nobody's weight."""
    first, _ = censor_later_starts(*study_of(small_world))
    changed = small_world.assign(exit=np.where(small_world["exit"] == 1, 2, 0))
    gone = changed["later"] >= changed["days"]
    changed.loc[gone, "later"] = np.inf
    changed.loc[changed["side"] == 1, "days"] = 17.0
    other, _ = censor_later_starts(*study_of(changed))
    control = small_world["side"].to_numpy() == 0
    for name in ("start", "stop", "factor"):
        mine, theirs = (getattr(one.weights, name)[control[one.weights.row]] for one in (first, other))
        assert mine.tolist() == theirs.tolist()


@pytest.mark.property
def test_people_outside_the_comparison_weigh_one_and_are_not_in_the_model(small_world):
    cohort, _, follow_up = study_of(small_world)
    with pytest.warns(UnmatchedWarning, match="150 of 300 treated found no control"):
        half = comparison_from_sets(cohort, small_world.query("set < 150")[["person", "set"]])
    found, model = censor_later_starts(cohort, half, follow_up)
    alone, own_model = censor_later_starts(*study_of(small_world.query("set < 150").reset_index(drop=True)))
    assert set(found.weights.factor[np.isin(found.weights.row, np.flatnonzero(half.weights == 0))]) == {1.0}
    pd.testing.assert_frame_equal(model.coefficients, own_model.coefficients)
    assert model.effective_control == pytest.approx(own_model.effective_control)
    assert len(alone.days) == 300


# ---- a stack of trials


@pytest.mark.property
def test_a_control_in_two_trials_starts_once_and_counts_once(small_world, monkeypatch):
    """Everybody of one trial is put into a second trial as well: twice the rows, the same people, the same errors."""
    monkeypatch.setattr(person_months, "FEWEST_STARTS", 1)  # twice the starts would join fewer calendar months
    stack = pd.concat([small_world.assign(trial=trial) for trial in ("first", "second")], ignore_index=True)
    columns = {"treated": "side", "covariates": ["age", "ready"], "person": "person", "trial": "trial", "index_date": "index"}
    cohort = cohort_from_trials(stack, **columns)
    sets = stack[["person", "trial"]].assign(set=stack["set"].astype(str) + stack["trial"])
    comparison = comparison_from_sets(cohort, sets)
    _, twice = censor_later_starts(cohort, comparison, follow(cohort, stack["days"], stack["exit"], stack["later"]))
    _, once = censor_later_starts(*study_of(small_world))
    assert twice.started == once.started
    assert twice.effective_control == pytest.approx(once.effective_control)
    assert twice.by_month["at_risk"].tolist() == (2 * once.by_month["at_risk"]).tolist()
    pd.testing.assert_frame_equal(twice.coefficients, once.coefficients, rtol=SAME_OPTIMUM)


# ---- what cannot be had


def test_without_index_dates_or_later_starts_everything_that_is_missing_is_named(small_world):
    cohort, comparison, follow_up = study_of(small_world)
    undated = replace(cohort, index_date=None)
    with pytest.raises(InputError, match="must have index dates") as error:
        censor_later_starts(undated, comparison, replace(follow_up, later_start=None))
    assert len(error.value.problems) == 2
    assert "must say who starts later" in str(error.value)


def test_the_follow_up_must_be_of_the_cohorts_rows(small_world):
    cohort, comparison, follow_up = study_of(small_world)
    with pytest.raises(InputError, match="must be of the cohort's rows, in their order"):
        censor_later_starts(cohort, comparison, replace(follow_up, person=follow_up.person[::-1]))


def test_a_control_who_has_started_already_is_refused(small_world):
    cohort, comparison, follow_up = study_of(small_world)
    later = follow_up.later_start.copy()
    later[-3:] = [0, -5, np.nan]
    with pytest.raises(InputError, match="must lie after the control's index date; 3 of 600 rows do not, first at row 598"):
        censor_later_starts(cohort, comparison, replace(follow_up, later_start=later))


def test_an_unknown_stratum_is_refused(small_world):
    with pytest.raises(InputError, match="is neither a covariate nor a stratum"):
        censor_later_starts(*study_of(small_world), CensoringSpec(strata=("office",)))
