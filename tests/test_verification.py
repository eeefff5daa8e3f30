"""The verification's own arithmetic, one small world of each kind, and what the committed page must say."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

PROJECT = Path(__file__).parents[1]
PAGE = PROJECT / "docs" / "validation.md"
SMALL = (600, 6_000)  # participants and others: seconds, and a standard error of about three points
FAR = 3.5  # standard errors: one in two thousand worlds by chance, and the seed is fixed
DESIGN_BIAS = 4.0  # points by which B misses, which starts the clock before the start: on the page it misses by more than twice as much
MOST_BIAS = 1.0  # points: what the toolkit promises where what moves people to start is measured
FEWEST_COVERED = 91.0  # per cent: a coverage of 95 is found below it once in 200 replicates of 200


@pytest.fixture(scope="module")
def verify() -> ModuleType:
    found = importlib.util.spec_from_file_location("verify", PROJECT / "tests" / "verification" / "verify.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def table_under(heading: str) -> pd.DataFrame:
    """Read the first table below a heading of the page."""
    lines = PAGE.read_text(encoding="utf-8").split(f"## {heading}\n")[1].split("\n## ")[0].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    return pd.DataFrame(rows[2:], columns=rows[0]).set_index(rows[0][0])


def number(cell: str) -> float:
    found = re.match(r"[+-]?\d+(\.\d+)?", cell)
    assert found, cell
    return float(found[0])


@pytest.mark.hand
def test_bias_coverage_and_their_errors_are_arithmetic(verify: ModuleType) -> None:
    answers = [verify.Answer("w", "E1", estimate, 1.0, truth) for estimate, truth in ((1.0, 0.0), (3.0, 0.0), (1.0, 1.0), (2.0, 2.0))]
    row = verify.summarise(pd.DataFrame(answers)).iloc[0]
    assert (row["runs"], row["truth"], row["bias"], row["coverage"]) == (4, 0.75, 1.0, 0.75)
    assert row["mc_error"] == pytest.approx((2**0.5) / 2)  # errors 1, 3, 0, 0: variance (0 + 4 + 1 + 1) / 3
    assert row["se_ratio"] == pytest.approx(1 / 2**0.5)


@pytest.mark.recovery
def test_where_a_start_does_nothing_risk_sets_find_nothing_and_waiting_for_the_start_misleads(verify: ModuleType) -> None:
    found = {answer.what: answer for answer in verify.quietly("trap", verify.TRAPS[2], 1, *SMALL)}
    assert set(found) == {"E1", "E2", "A", "B", "C"}
    for estimand in ("E1", "E2"):
        assert abs(found[estimand].estimate) < FAR * found[estimand].std_error
    assert 100 * found["B"].estimate < -DESIGN_BIAS


@pytest.mark.recovery
def test_a_true_effect_is_found_by_every_estimand(verify: ModuleType) -> None:
    answers = verify.quietly("replicate", verify.TRUE, 2, *SMALL)
    assert {answer.what.partition(",")[0] for answer in answers} == {"E1", "E2", "E3"}
    for answer in answers:
        assert abs(answer.estimate - answer.truth) < FAR * answer.std_error, answer.what


@pytest.mark.recovery
def test_the_committed_page_shows_the_road_right_and_the_usual_designs_wrong() -> None:
    traps = table_under("Worlds where a start does nothing")
    assert len(traps) == 4
    for world, row in traps.iterrows():
        if "no register" not in str(world):
            assert max(abs(number(row["E1"])), abs(number(row["E2"]))) <= MOST_BIAS, world
        assert max(abs(number(row[naive])) for naive in "AB") > 2 * DESIGN_BIAS, world


@pytest.mark.recovery
def test_the_committed_page_shows_intervals_that_cover() -> None:
    coverage = table_under("A world with an effect")
    assert len(coverage) == 15
    assert coverage["coverage of the 95 % interval"].map(number).min() >= FEWEST_COVERED
