"""From the registers to the comparison: steps that reconcile, and none that tells of few people left out."""

from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from evaluation.analysis.outcomes import TimeUnit
from evaluation.plan import load_plan
from evaluation.registers.schema import Schema
from evaluation.release.passage import release_design
from evaluation.release.rules import release_rules
from evaluation.reporting.disclosure import HIDDEN, Gate
from evaluation.reporting.flow import _figure_steps, _gaps, _sick_team, flow_blocks, flow_table
from evaluation.reporting.scene import Scene
from evaluation.reporting.wording import Voice

PLAN = load_plan("reports/malmokraften")
STEPS = [  # step, treated, control
    ("registered", None, 40_000),
    ("in_jug", None, 22_000),
    ("offered", 4_290, None),
    ("started", 4_000, None),
    ("without_sick_team", 3_439, None),
    ("in_jug_at_start", 3_439, 21_000),
    ("of_age", 3_436, 21_000),
    ("eligible", 3_300, 20_991),
    ("compared", 3_284, 7_320),
]


def look(shown: SimpleNamespace, threshold: int = 10) -> Scene:
    released, _ = release_design(shown, release_rules(threshold))
    return Scene(PLAN, Voice("en", TimeUnit.MONTH), Schema("", ()), Gate(threshold), released)


def design(steps: list[tuple[str, int | None, int | None]] = STEPS, trials: dict[str, list[bool]] | None = None) -> SimpleNamespace:
    """Give as much of a design as the flow reads: its attrition, and for each trial whether its rows are treated."""
    attrition = pd.DataFrame(steps, columns=["step", "treated", "control"]).astype({"treated": "Int64", "control": "Int64"})
    rows = [(trial, treated) for trial, sides in (trials or {}).items() for treated in sides]
    column = pd.Series([trial for trial, _ in rows], dtype=object)
    cohort = SimpleNamespace(trial="trial" if rows else None, treated=np.array([treated for _, treated in rows]), column=lambda _: column)
    ends = {f"n_{arm}": int(attrition[arm].dropna().iloc[-1]) for arm in ("treated", "control") if attrition[arm].notna().any()}
    comparison = SimpleNamespace(attrition=attrition, **{"n_treated": 0, "n_control": 0, **ends})
    nothing_compared = SimpleNamespace(table=pd.DataFrame(columns=["variable", "level", "variance_ratio_before"]))
    return SimpleNamespace(comparison=comparison, cohort=cohort, balance=nothing_compared)


def number(cell: str) -> int:
    return int(cell.replace(",", ""))


@pytest.mark.hand
def test_with_nothing_hidden_every_step_reconciles_with_the_one_before_on_its_side() -> None:
    rows = flow_table(design(), look(design(), threshold=0)).rows
    assert [row[1] for row in rows] == ["–", "–", "4,290", "4,000", "3,439", "3,439", "3,436", "3,300", "3,284"]
    for people, left_out in ((1, 2), (3, 4)):
        concerned = [row for row in rows if row[people] != "–"]
        assert concerned[0][left_out] == ""
        for before, here in pairwise(concerned):
            assert number(before[people]) - number(here[left_out]) == number(here[people])


@pytest.mark.hand
def test_a_step_that_would_tell_of_few_left_out_is_hidden() -> None:
    """Three are of the wrong age: 3,440 and 3,435 would tell of one to nine, whether the step between them is shown or not."""
    rows = {row[0]: row[1:] for row in flow_table(design(), look(design())).rows}
    assert rows["Without the sick-leave team"] == ("3,440", "560", "–", "–")
    assert rows["In the guarantee on the start day"] == ("3,440", "0–4", "21,000", "1,000")
    assert rows["Of the ages compared"] == (HIDDEN, HIDDEN, "21,000", "0–4")
    assert rows["Unemployed or in a programme the day before"] == ("3,300", HIDDEN, "20,990", "10")  # nine, who after rounding may be 6 to 14
    assert rows["Compared"] == ("3,285", "15", "7,320", "13,670")


def test_a_step_that_is_none_of_a_side_is_a_dash() -> None:
    rows = flow_table(design(), look(design())).rows
    assert rows[0][1:3] == ("–", "–")
    assert rows[2][3:5] == ("–", "–")


def test_the_figure_leaves_out_the_steps_where_nobody_is_left_out() -> None:
    steps = [*STEPS[:-1], ("eligible", 3_300, 20_991), STEPS[-1]]
    steps[-3] = ("resident", 3_300, 20_991)
    shown = design(steps)
    assert [step.label for step in _figure_steps(shown, look(shown, threshold=0))].count("Unemployed or in a programme the day before") == 0
    assert _figure_steps(design(), look(design()))[-1].strong


@pytest.mark.hand
@pytest.mark.parametrize(("left_out", "said"), [(561, "560 in the sick-leave team"), (4, "A few in the sick-leave team"), (0, None)])
def test_the_sick_leave_team_is_counted_in_a_sentence(left_out: int, said: str | None) -> None:
    shown = design([("started", 4_000, None), ("without_sick_team", 4_000 - left_out, None), ("compared", 3_000, 9_000)])
    found = _sick_team(shown, look(shown))
    assert [block.text.startswith(str(said)) for block in found] == ([True] if said else [])
    without = design([("started", 10, None), ("compared", 10, 10)])
    assert _sick_team(without, look(without)) == []


@pytest.mark.hand
def test_months_without_anybody_to_compare_with_are_named() -> None:
    scene = look(design())
    trials = {"2018-03": [True, False], "2018-04": [True], "2018-05": [True, True]}
    (gap,) = _gaps(design(trials=trials), scene)
    assert "April 2018 and May 2018" in gap.text
    assert _gaps(design(trials={"2018-03": [True, False]}), scene) == []
    assert _gaps(design(), scene) == []


def test_the_flow_is_a_figure_with_its_table() -> None:
    picture, rows, *_ = flow_blocks(design(), look(design()))
    assert (picture.kind, rows.kind) == ("figure", "table")
    assert "40,000" in picture.svg  # read out
