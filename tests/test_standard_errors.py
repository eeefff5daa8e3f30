"""The comparison of four standard errors: its arithmetic by hand, and a few of its worlds."""

from collections.abc import Iterator
from types import ModuleType

import numpy as np
import pytest

FAR = 5.0  # Monte Carlo errors of a mean of few standard errors


@pytest.fixture(scope="module")
def room(scripts) -> Iterator[ModuleType]:
    with scripts("standard_errors") as (found,):
        yield found


@pytest.fixture(scope="module")
def few(room):
    return room.compared(3, 1, workers=1)


@pytest.mark.hand
def test_spread_and_root_mean_square_are_arithmetic(room, monkeypatch):
    def replicate(seed, chained):
        rows = [(design, measure, "estimate", (1.0, -1.0, 3.0, 1.0)[seed - 1]) for design in room.DESIGNS for measure in room.MEASURES]
        rows += [(design, measure, "influence", 3.0 if seed % 2 else 4.0) for design in room.DESIGNS for measure in room.MEASURES]
        return rows + [(design, measure, "whole chain", 7.0) for design in room.DESIGNS for measure in room.MEASURES if chained]

    monkeypatch.setattr(room, "replicate", replicate)
    table = room.compared(4, 1, workers=1)
    row = table.iloc[0]
    assert (len(table), row["worlds"]) == (9, 4)
    assert row["spread"] == pytest.approx(np.sqrt((0 + 4 + 4 + 0) / 3))
    assert row["spread_error"] == pytest.approx(np.sqrt((0 + 4 + 4 + 0) / 3) * np.sqrt((8 / 2**2 - 1) / 16))  # fourth moment 8, variance 2
    assert row["influence"] == pytest.approx(np.sqrt((9 + 16) / 2))
    assert row["whole chain"] == 7
    assert np.isnan(row["sets drawn"])


@pytest.mark.recovery
def test_in_a_few_worlds_sets_drawn_again_say_what_the_influences_say_and_persons_say_more(room, few):
    monte_carlo = FAR / np.sqrt(2 * room.REPLICATES * 3)
    table = few.set_index(["design", "measure"])
    matched = table.drop(index="odds weights", level=0)
    np.testing.assert_allclose(matched["sets drawn"], matched["influence"], rtol=monte_carlo)
    assert table.loc["odds weights", "sets drawn"].isna().all()
    assert (table["persons drawn"] > 0.9 * table["influence"]).all()
    assert table["whole chain"].notna().all()


def test_the_section_has_a_row_for_every_design_and_measure(room, few, monkeypatch):
    monkeypatch.setattr(room, "compared", lambda worlds, chained, workers: few)
    lines = [line for line in room.standard_errors_section(quick=True).splitlines() if line.startswith("|")]
    assert lines[0] == "| design | estimate | spread (error) | influence | sets drawn | persons drawn | whole chain |"
    assert len(lines) == 2 + 9
    assert all(len(line.split(" | ")) == 7 for line in lines[2:])
    assert lines[-1].startswith("| odds weights | log HR | ")
    assert " | – | " in lines[-1]
