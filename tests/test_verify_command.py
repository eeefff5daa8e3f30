"""Does an installation that finds the truth pass, and one that does not fail? The bounds by hand, the road against each of its steps."""

import io
import math
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from evaluation import load_plan, verify_road
from evaluation.cli import EXIT_CODES, app, terminal
from evaluation.cli.terminal import ASTRAY
from evaluation.errors import DesignError, InputError
from evaluation.verification import road, worlds
from evaluation.verification.answers import Answer
from evaluation.verification.road import BEYOND, BIASED, FOUND, TOO_SELDOM, TOO_WIDE, judged

PROJECT = Path(__file__).parents[1]
SIZE = (300, 3_000)  # participants and others: a standard error of five points, so that a shift of twenty is seen in two worlds
SMALL = ("--worlds", "2", "--participants", "300", "--pool", "3000", "--jobs", "1")
SHIFT = 0.2  # of every effect, by a broken estimator


@pytest.fixture(scope="module")
def registers() -> Iterator[None]:
    """Make each world's registers once: what is broken here is never the registers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worlds, "observed", cache(worlds.observed))
        yield


@pytest.fixture(scope="module")
def told(registers: None, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    file = tmp_path_factory.mktemp("told") / "answers.csv"
    result = run("verify", *SMALL, "--out", str(file))
    return SimpleNamespace(result=result, file=file, answers=pd.read_csv(file))


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def answers(errors: list[float], std_error: float = 0.1, truth: float = 0.1, what: str = "E1, 548 days") -> pd.DataFrame:
    rows = [(seed, *Answer("w", "m", what, truth + error, std_error, truth)) for seed, error in enumerate(errors)]
    return pd.DataFrame(rows, columns=["seed", *Answer._fields])


def verdict(errors: list[float], std_error: float = 0.1) -> str:
    return str(judged(answers(errors, std_error))["verdict"].iloc[0])


# --- the table


@pytest.mark.hand
def test_a_row_is_arithmetic_over_the_worlds() -> None:
    row = judged(answers([0.03, -0.01, 0.02, 0.0], std_error=0.005)).iloc[0]
    assert (row["estimand"], row["of_whom"], row["horizon_days"], row["worlds"]) == ("E1", "everybody", 548, 4)
    assert row["bias"] == pytest.approx(0.01)
    assert row["mean_estimate"] == pytest.approx(0.11)
    assert row["bias_error"] == pytest.approx(math.sqrt((0.02**2 + 0.02**2 + 0.01**2 + 0.01**2) / 3) / 2)
    assert row["coverage"] == 0.25  # 1.96 standard errors are 0.0098
    assert row["coverage_error"] == pytest.approx(math.sqrt(0.25 * 0.75 / 4))


@pytest.mark.hand
def test_where_few_worlds_lie_close_by_chance_the_error_is_that_of_the_standard_errors() -> None:
    assert judged(answers([0.01, 0.01, 0.01 + 1e-9], std_error=0.06)).iloc[0]["bias_error"] == pytest.approx(0.06 / math.sqrt(3))


@pytest.mark.hand
@pytest.mark.parametrize(
    ("what", "whom", "horizon"),
    [("E2, 183 days", "everybody", 183), ("E3", "everybody", 730), ("E1, kon = 2", "kon = 2", 548), ("E1, kon: 2 minus 1", "kon: 2 minus 1", 548)],
)
def test_a_row_says_of_whom_it_is_and_when(what: str, whom: str, horizon: float) -> None:
    row = judged(answers([0.0, 0.1], what=what)).iloc[0]
    assert (row["of_whom"], row["horizon_days"]) == (whom, horizon)


@pytest.mark.hand
def test_a_bias_is_astray_beyond_half_a_point_and_four_of_its_errors() -> None:
    spread = np.array([-1.0, 1.0] * 8)
    spread *= 0.1 / spread.std(ddof=1)  # the standard error of the mean is then 0.1 / 4
    most = 0.005 + BEYOND * 0.1 / 4
    for shift in (most, -most):  # of a row so far off half the intervals miss too
        assert BIASED not in verdict(list(spread + 0.99 * shift))
        assert BIASED in verdict(list(spread + 1.01 * shift))


@pytest.mark.hand
def test_intervals_cover_too_seldom_when_so_few_would_by_chance_less_often_than_beyond_four_standard_errors() -> None:
    def chance(missed: int, of: int = 12) -> float:
        return sum(math.comb(of, count) * 0.065**count * 0.935 ** (of - count) for count in range(missed, of + 1))

    rare = math.erfc(4 / math.sqrt(2)) / 2
    fewest = next(missed for missed in range(13) if chance(missed) < rare)
    far, near = [0.2, -0.2] * 6, [0.01, -0.01] * 6
    for missed, expected in ((fewest - 1, FOUND), (fewest, TOO_SELDOM)):
        assert verdict(far[:missed] + near[missed:]) == expected


@pytest.mark.hand
def test_intervals_are_too_wide_when_the_errors_hardly_vary_beside_the_standard_errors() -> None:
    errors = np.array([-1.0, 0.0, 1.0])  # their standard deviation is 1, and a chi-square of 2 degrees is below x with probability 1 - exp(-x / 2)
    widest = math.sqrt(-1 / math.log1p(-math.erfc(4 / math.sqrt(2)) / 2))
    assert verdict(list(errors), std_error=0.99 * widest) == FOUND
    assert verdict(list(errors), std_error=1.01 * widest) == TOO_WIDE


def test_what_is_no_number_is_astray() -> None:
    assert BIASED in verdict([math.nan, 0.0])


# --- the road


@pytest.mark.recovery
def test_two_small_worlds_find_the_truth_and_say_so(told: SimpleNamespace) -> None:
    assert told.result.exit_code == 0, told.result.stderr
    assert "This installation finds the truth: 15 rows, none astray" in told.result.stdout
    assert "2 of 2: seed 2" in told.result.stderr
    assert told.result.stdout.count(f" {FOUND} ") == 15
    assert f"Answers: {told.file}" in told.result.stdout


@pytest.mark.property
@pytest.mark.filterwarnings("ignore::evaluation.errors.UnmatchedWarning")
def test_the_answers_are_those_of_a_world_by_itself(told: SimpleNamespace, registers: None) -> None:
    assert told.answers["seed"].tolist() == [1] * 15 + [2] * 15
    alone = pd.DataFrame(worlds.replicate(worlds.TRUE, worlds.packaged_plan(), 2, *SIZE), columns=list(Answer._fields))
    again = pd.read_csv(io.StringIO(alone.to_csv(index=False)))
    of_two = told.answers[told.answers["seed"] == 2].drop(columns="seed").reset_index(drop=True)
    pd.testing.assert_frame_equal(of_two, again, check_exact=True)


@pytest.mark.recovery
def test_a_broken_estimator_ends_with_its_own_exit_code(registers: None, monkeypatch: pytest.MonkeyPatch) -> None:
    right = worlds.estimate_effects

    def broken(*road: object) -> object:
        effects = right(*road)
        shifted = {days: replace(one, value=one.value + SHIFT) for days, one in effects.risk_difference.items()}
        return replace(effects, risk_difference=shifted)

    monkeypatch.setattr(worlds, "estimate_effects", broken)
    result = run("verify", *SMALL)
    assert result.exit_code == ASTRAY == 6
    assert "Error: this installation does not find the truth" in result.stderr
    astray = [line.split()[:2] for line in result.stdout.splitlines() if BIASED in line]
    assert len(astray) >= 4
    assert {tuple(row) for row in astray} == {("E1", "everybody"), ("E2", "everybody")}  # what was broken, and nothing else
    assert "finds the truth" not in result.stdout


def test_a_world_that_fails_is_told_stops_no_other_and_is_no_truth(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(world: object, plan: object, seed: int, participants: int, pool: int) -> Iterator[Answer]:
        if seed == 8:
            raise DesignError("nobody to compare")
        yield Answer("w", "m", "E1, 548 days", 0.1 + 0.01 * seed, 0.1, 0.1)

    monkeypatch.setattr(worlds, "replicate", failing)
    seen = []
    found = verify_road(3, seed=7, progress=lambda finished, of, name: seen.append((finished, of, name)))
    assert found.failures == {8: "DesignError: nobody to compare"}
    assert found.answers["seed"].tolist() == [7, 9]
    assert found.to_frame()["verdict"].tolist() == [FOUND]
    assert not found.passed
    assert seen == [(1, 3, "seed 7"), (2, 3, "seed 8"), (3, 3, "seed 9")]
    result = run("verify", "--worlds", "3", "--seed", "7", "--jobs", "1", "--quiet")
    assert (result.exit_code, result.stdout) == (ASTRAY, "")
    assert "seed 8: DesignError: nobody to compare" in result.stderr


def test_worlds_that_all_fail_are_no_truth(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object) -> Iterator[Answer]:
        raise DesignError("nobody to compare")

    monkeypatch.setattr(worlds, "replicate", failing)
    found = verify_road(2)
    assert (len(found.table), len(found.failures), found.passed) == (0, 2, False)


def test_one_world_says_nothing_of_chance() -> None:
    with pytest.raises(InputError, match="n_worlds: must be 2 or more"):
        verify_road(1)
    assert run("verify", "--worlds", "1").exit_code == terminal.INVALID


def test_the_packaged_plan_is_of_the_form_of_the_evaluations() -> None:
    packaged, own = worlds.packaged_plan(), load_plan(PROJECT / "reports" / "malmokraften")
    for section in ("propensity", "matching", "outcome", "weighting", "support", "limits"):
        assert getattr(packaged, section) == getattr(own, section), section
    assert packaged.cohort.model_copy(update={"periods": {}}) == own.cohort.model_copy(update={"periods": {}})


# --- what is said of it


def test_the_exit_codes_are_on_the_page_and_in_every_help() -> None:
    page = (PROJECT / "docs" / "howto" / "command-line.md").read_text(encoding="utf-8")
    codes = [terminal.INVALID, terminal.NOT_RELEASED, terminal.STRICT, terminal.UNFIT, terminal.ASTRAY]
    for code in (0, *codes):
        assert f"\n| {code} | " in page
        assert f"{code} " in EXIT_CODES
    for command in app.registered_commands:
        name = command.name or command.callback.__name__.replace("_", "-")
        assert f"\n| `{name}" in page, name


def test_the_bounds_are_those_of_the_validation_page(scripts) -> None:
    with scripts("answers") as (page,):
        assert (page.MOST_BIAS, page.COVERED[0]) == (road.MOST_BIAS, road.COVERED[0])
