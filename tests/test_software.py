"""The table of other programs: ours is R's, and every digit in which another program differs is explained."""

import math
from collections.abc import Iterator
from types import ModuleType

import numpy as np
import pytest

from evaluation.analysis.hazards import RiskSets, cox_log_ratio

SAME_FORMULA = 1e-8  # R prints 11 digits
R_CONVERGED = 2e-7  # relative: R stops its Newton steps there
SAME_FIT = 2e-5  # relative: lifelines stops its Newton steps there; with ties they are a hundredth apart
PAIRS = 300  # of the 1360: enough for the ties to matter
OTHER_SETTINGS = {"its standard error"}  # rows in which R has another setting, too: they must say which


@pytest.fixture(scope="module")
def software(scripts) -> Iterator[ModuleType]:
    with scripts("software") as (found,):
        yield found


@pytest.fixture(scope="module")
def rows(software):
    return software.software_rows()


@pytest.mark.reference
def test_ours_is_r_wherever_the_settings_are_the_same(rows):
    with_r = [row for row in rows if row.r is not None and row.ours is not None]
    apart = [row for row in with_r if not math.isclose(row.ours, row.r, rel_tol=R_CONVERGED, abs_tol=max(SAME_FORMULA, row.printed))]
    assert len(with_r) == 20
    assert {row.analysis for row in apart} <= OTHER_SETTINGS
    assert len(apart) == 2  # the model's error of Cox, and WeightIt's, which takes the treated's covariates as fixed
    assert all(row.why for row in apart)


@pytest.mark.reference
def test_every_digit_that_differs_is_explained_and_no_more_differ_than_are_known(rows):
    for row in rows:
        if len(set(row.cells) - {"–"}) > 1:
            assert len(row.why) > 20, row.analysis
    assert sum(any(row.differs(number) for number in (row.lifelines, row.statsmodels)) for row in rows) == 7


@pytest.mark.reference
def test_exits_moved_apart_give_the_clustered_error_of_every_program(software):
    """What the table says of tied exits, tried: without ties there is nothing left to differ in."""
    people, road = software.claimants()
    sets = road[1].sets[road[1].sets["set"] < PAIRS]
    frame = people.loc[sets["person"], ["spell", "treated"]].reset_index(drop=True)
    frame["seen"], frame["pair"] = (people.loc[sets["person"], "exit"] != "censored").to_numpy(dtype=int), sets["set"].to_numpy()
    tied = errors_of(software, frame)
    assert tied["ours"] != pytest.approx(tied["lifelines"], rel=1e-3)
    frame["spell"] += np.random.default_rng(1).uniform(0, 0.5, len(frame))
    apart = errors_of(software, frame)
    assert apart["ours"] == pytest.approx(apart["lifelines"], rel=SAME_FIT)
    assert apart["ours"] == pytest.approx(apart["statsmodels"], rel=SAME_FIT)


def errors_of(software, frame):
    """Give every program's standard error of the log hazard ratio, clustered by pair."""
    arrays = (frame[name].to_numpy() for name in ("spell", "seen", "treated"))
    days, seen, treated = (next(arrays).astype(float), *(array == 1 for array in arrays))
    _, influence = cox_log_ratio(RiskSets.of(days, seen, treated, np.ones(len(frame))))
    return {
        "ours": np.sqrt((np.bincount(frame["pair"], influence) ** 2).sum()),
        "lifelines": float(software.CoxPHFitter().fit(frame, "spell", "seen", cluster_col="pair").standard_errors_["treated"]),
        "statsmodels": float(software.PHReg(frame["spell"], frame[["treated"]], status=frame["seen"], ties="efron").fit(groups=frame["pair"]).bse[0]),
    }


def test_the_section_has_a_row_for_every_number_and_all_programs(software, rows, monkeypatch):
    monkeypatch.setattr(software, "software_rows", lambda: rows)
    lines = [line for line in software.software_section().splitlines() if line.startswith("|")]
    assert lines[0] == "| analysis | R | lifelines | statsmodels | scikit-survival | us | settings that differ |"
    assert len(lines) == 2 + len(rows)
    cells = {line.split(" | ")[0].removeprefix("| "): line.split(" | ")[1:] for line in lines[2:]}
    assert all(len(line.split(" | ")) == 7 for line in lines[2:])
    first = cells["Kaplan-Meier, 6-MP, still in remission in week 10"]
    assert first == ["0.75294118", "0.75294118", "0.75294118", "not installed here", "0.75294118", " |"]
    assert cells["E-value of the interval's nearer end"][1:4] == ["–", "–", "–"]
