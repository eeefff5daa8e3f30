"""Attacks on curves, drawn and as tables: no step is of few, and nothing but months, rounded shares and rounded numbers leaves."""

import io
import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import rc_context
from matplotlib.figure import Figure

from evaluation.analysis.curves import ARMS, Curves, estimate_curves
from evaluation.errors import EstimationError, InputError
from evaluation.release.curves import ReleasedCurve, hold_small_steps, release_curve
from evaluation.release.drawings import finer_than_months, step_places
from evaluation.release.rules import ReleaseRules

attack = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("attack.py"))))

RULES = ReleaseRules()
MONTH = RULES.month_days
ROUNDING = 1e-9  # of a share that is a ratio of whole numbers
COORDINATE = 0.2  # of a person: what rounding of coordinates leaves of an event


@pytest.fixture(scope="module")
def curves(make_study) -> Curves:
    """Two hundred pairs followed for two years, most of whom leave on days of their own; the controls later."""
    rng = np.random.default_rng(8)
    days = np.concatenate([rng.exponential(400, 200), rng.exponential(650, 200)]) + 1
    exits = np.where(days < 730, 1, 0)
    sets = [(number, number + 200) for number in range(200)]
    return estimate_curves(*make_study(np.minimum(days, 730), exits, sets, range(200)))


def step_picture(place: np.ndarray, share: np.ndarray, *, simplified: bool = False) -> str:
    figure, written = Figure(), io.StringIO()
    with rc_context({"path.simplify": simplified}):  # matplotlib's own, which leaves out corners that nobody sees
        figure.add_subplot().step(place, share, where="post")
        figure.savefig(written, format="svg", metadata={"Date": None, "Creator": None})
    return written.getvalue()


def test_the_steps_of_an_exact_curve_are_read_as_persons_and_those_of_a_released_one_are_never_few(curves: Curves) -> None:
    arm = curves.table[(curves.table["arm"] == "treated") & (curves.table["state"] == "any")]
    exact = step_picture(np.append(0.0, arm["days"]), np.append(0.0, arm["probability"]))
    read = attack.steps_in_svg(exact, 200, float(arm["probability"].iloc[-1]))
    assert len(read) == len(arm)
    assert np.allclose(read, 1, atol=COORDINATE)  # nobody is censored, so every step is one person
    released = release_curve(curves, "any", 24, RULES)
    share = released.share["treated"]
    steps = attack.steps_in_svg(step_picture(released.months, share), 200, float(share[-1]))
    assert len(steps) > 5
    assert not any(attack.is_few(round(step) - 2 * attack.ROUNDING, round(step) + 2 * attack.ROUNDING) for step in steps)


@pytest.mark.parametrize("counted", [None, range(25)], ids=["every half year", "every month"])
def test_no_step_and_no_loss_in_the_table_beside_the_figure_is_of_few(curves: Curves, counted: range | None) -> None:
    released = release_curve(curves, "any", 24, RULES, counted)
    fuzz = 2 * attack.ROUNDING
    for arm in ARMS:
        left = np.round(np.diff(released.share[arm]) * 200)
        shown = [count for count in released.followed[arm] if count is not None]
        for change in [*left, *-np.diff(shown)]:
            assert not attack.is_few(change - fuzz, change + fuzz)
        assert all(count % RULES.base == 0 for count in shown)
        assert len(shown) > 3
    monthly = curves.at_risk([month * MONTH for month in range(25)]).loc["treated"].to_numpy()
    assert any(attack.is_few(loss, loss) for loss in -np.diff(monthly))  # so the exact table would have told


def test_a_released_curve_lies_close_to_the_exact_one(curves: Curves) -> None:
    released = release_curve(curves, "any", 24, RULES)
    for arm in ARMS:
        table = curves.table[(curves.table["arm"] == arm) & (curves.table["state"] == "any")]
        exact = np.append(0.0, table["probability"])[np.searchsorted(table["days"], released.months * MONTH, side="right")]
        begun = released.share[arm] > 0
        far = np.abs(released.share[arm] - exact)
        assert far[begun].max() <= (1.5 * RULES.base + 0.5) / 200
        assert far[~begun].max() < RULES.threshold / 200
        assert far[-1] <= RULES.base / 2 / 200 + ROUNDING


def test_the_interval_lies_around_the_released_share_and_is_no_narrower(curves: Curves) -> None:
    released = release_curve(curves, "any", 24, RULES)
    for arm in ARMS:
        rows = curves.table[(curves.table["arm"] == arm) & (curves.table["state"] == "any")]
        low, high = (np.append(0.0, rows[name])[np.searchsorted(rows["days"], released.months * MONTH, side="right")] for name in ("low", "high"))
        begun = released.share[arm] > 0
        assert (released.high[arm] - released.low[arm] + ROUNDING >= high - low)[begun].all()
        steps = released.low[arm] * 200 / RULES.base
        assert np.allclose(steps, np.round(steps), atol=ROUNDING)


@pytest.mark.hand
@pytest.mark.parametrize(
    ("counts", "held"),
    [
        ([0, 5, 10, 15, 20], [0, 0, 10, 20, 20]),  # 5 is few; 15 and 20 lie too near, so month 3 takes what month 4 has
        ([0, 10, 10, 25], [0, 10, 10, 25]),
        ([0, 5, 5, 5], [0, 0, 0, 0]),
        ([0, 20, 25, 30], [0, 20, 30, 30]),
        ([0, 15, 20, 25, 30, 35], [0, 15, 25, 25, 35, 35]),
    ],
)
def test_a_step_of_five_rounded_people_may_be_of_few_and_is_put_together_with_the_next(counts: list[int], held: list[int]) -> None:
    assert hold_small_steps(np.array(counts), RULES).tolist() == held


@pytest.mark.property
@given(steps=st.lists(st.integers(0, 6), min_size=1, max_size=40), base=st.sampled_from([1, 2, 5, 10]))
def test_held_steps_are_nothing_or_may_be_many(steps: list[int], base: int) -> None:
    rules, counts = ReleaseRules(base=base), np.cumsum(steps) * base
    held = hold_small_steps(counts, rules)
    for step in np.diff(np.append(0, held)):
        assert step >= 0
        assert not attack.is_few(step - (base - 1), step + (base - 1))
    assert held[-1] in (0, counts[-1])


def curves_of(followed: dict[str, list[float]], probability: dict[str, list[float]], reach: float = np.inf) -> Curves:
    rows = [
        {"arm": arm, "state": "any", "days": 10.0 * (number + 1), "probability": share, "low": share, "high": share}
        for arm, shares in probability.items()
        for number, share in enumerate(shares)
    ]
    return Curves(pd.DataFrame(rows), 0.95, {arm: np.sort(times) for arm, times in followed.items()}, reach)


@pytest.mark.hand
def test_the_curves_end_with_the_last_month_in_which_both_arms_have_enough_people() -> None:
    many, thin = [1_000.0] * 100, [1_000.0] * 9 + [70.0] * 91  # at two months all, at three 9
    found = release_curve(curves_of({"treated": many, "control": thin}, {"treated": [0.5], "control": [0.4]}), "any", 24, RULES)
    assert found.months.tolist() == [0, 1, 2]
    assert found.at_month("treated", 2).value == 0.5
    assert found.at_month("treated", 3).value is None
    reached = release_curve(curves_of({"treated": many, "control": many}, {"treated": [0.5], "control": [0.4]}, reach=100.0), "any", 24, RULES)
    assert reached.months.tolist() == [0, 1, 2, 3]


@pytest.mark.hand
@pytest.mark.parametrize("share", [0.0, 0.04], ids=["nobody", "four of a hundred"])
def test_a_curve_of_few_or_of_nobody_is_withheld(share: float) -> None:
    many = [1_000.0] * 100
    found = release_curve(curves_of({"treated": many, "control": many}, {"treated": [0.5], "control": [share]}), "any", 24, RULES)
    assert found.months.size == 0
    assert found.to_frame().empty


def test_an_arm_of_nine_has_no_curve() -> None:
    found = release_curve(curves_of({"treated": [1_000.0] * 9, "control": [1_000.0] * 100}, {"treated": [0.5], "control": [0.5]}), "any", 24, RULES)
    assert found.months.size == 0


def test_a_state_that_is_not_there_is_named(curves: Curves) -> None:
    with pytest.raises(EstimationError, match="study is not a state of the curves"):
        release_curve(curves, "study", 24, RULES)


def test_the_table_beside_the_figure_has_months_rounded_numbers_and_nothing_else(curves: Curves) -> None:
    table = release_curve(curves, "any", 24, RULES).to_frame()
    assert list(table) == ["month", *(f"{arm}_{name}" for arm in ARMS for name in ("share", "low", "high", "followed"))]
    assert table["treated_share"].mul(200 / RULES.base).sub(table["treated_share"].mul(200 / RULES.base).round()).abs().max() < ROUNDING


def test_a_released_curve_is_made_by_the_gate_only(curves: Curves) -> None:
    shares = {arm: np.array([0.1]) for arm in ARMS}
    with pytest.raises(InputError, match="ReleasedCurve: can be made by the gate only"):
        ReleasedCurve(np.array([0]), shares, shares, shares, dict.fromkeys(ARMS, (3,)))


@pytest.mark.parametrize("simplified", [False, True])
def test_a_drawing_of_exit_days_is_told_from_a_drawing_of_months(curves: Curves, simplified: bool) -> None:
    arm = curves.table[(curves.table["arm"] == "treated") & (curves.table["state"] == "any")]
    assert finer_than_months(step_picture(np.append(0.0, arm["days"]), np.append(0.0, arm["probability"]), simplified=simplified))
    few = arm.iloc[:: len(arm) // 6]
    assert finer_than_months(step_picture(np.append(0.0, few["days"]), np.append(0.0, few["probability"])))  # six exits on days of their own
    released = release_curve(curves, "any", 24, RULES)
    assert not finer_than_months(step_picture(released.months, released.share["control"], simplified=simplified))


@pytest.mark.hand
def test_steps_are_read_off_a_path_in_either_notation() -> None:
    assert step_places("M0 10H5V8H9V3H20").tolist() == [5, 9]
    assert step_places("M 0 10 L 5 10 L 5 8 L 9 8 L 9 3 L 20 3").tolist() == [5, 9]
    assert step_places("M0 0L5 5").size == 0
    assert step_places("M0 0C1 1 2 2 3 3").size == 0
