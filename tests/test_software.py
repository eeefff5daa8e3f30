"""The table of other programs: ours is R's, and every digit in which another program differs is explained."""

import math
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from evaluation.analysis.cox import RiskSets, cox_log_ratio

SAME_FORMULA = 1e-8  # R prints 11 digits
R_CONVERGED = 2e-7  # relative: R stops its Newton steps there
SAME_FIT = 2e-5  # relative: lifelines stops its Newton steps there; with ties they are a hundredth apart
PAIRS = 300  # of the 1360: enough for the ties to matter
SAME_ESTIMATE = 1e-9  # relative; scikit-survival stops its Newton steps there, and the error is read back from an interval
OTHER_SETTINGS = {"its standard error"}  # rows in which R has another setting, too: they must say which

where_it_is_installed = pytest.mark.skipif(find_spec("sksurv") is None, reason="scikit-survival has no wheels for this machine")


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
    assert sum(any(row.differs(number) for number in (row.lifelines, row.statsmodels, row.scikit_survival)) for row in rows) == 7


@where_it_is_installed
@pytest.mark.reference
def test_scikit_survival_says_the_same_but_for_the_variance_it_chooses(rows):
    asked = [row for row in rows if row.scikit_survival is not None]
    assert [row.analysis.partition(",")[0] for row in asked] == [
        "Kaplan-Meier",
        "its standard error",
        "log-rank",
        "Cox",
        "Cox",
        "Cox of the pairs",
        "cumulative incidence of malignancy",
        "its standard error",
    ]
    assert [row.scikit_survival == pytest.approx(row.statsmodels, rel=SAME_ESTIMATE) for row in asked] == [True] * 7 + [False]
    assert [row.scikit_survival == pytest.approx(row.ours, rel=SAME_ESTIMATE) for row in asked if row.ours] == [True] * 6 + [False]
    assert "Aalen's variance" in asked[-1].why


@where_it_is_installed
@pytest.mark.reference
def test_scikit_survival_gives_our_error_of_the_incidence_by_the_variance_the_table_names(software):
    """Two kinds of event and ties: 40 people in eight weeks."""
    week, code = np.arange(40) % 8 + 1.0, np.arange(40) * 7 % 3
    states = np.array(["censored", "first", "second"])[code]
    split = software.pd.Series(np.arange(40) % 2 == 0)
    spec = software.EffectSpec(horizons_days=(6,), rmst_days=None, smallest_arm=2)
    ours = software.two_arms(software.pd.Series(week), states, split, spec).arms["treated"].cumulative_incidence["first", 6]
    share, error = software.scikit_incidence(code[split], week[split], 6, "Dinse_Approx")
    assert (ours.value, ours.std_error) == pytest.approx((share, error), rel=SAME_ESTIMATE)
    assert ours.std_error != pytest.approx(software.scikit_incidence(code[split], week[split], 6)[1], rel=1e-3)


def test_the_package_itself_never_imports_scikit_survival():
    """Its licence, the GPL, would become the package's."""
    files = (Path(__file__).parents[1] / "evaluation").rglob("*.py")
    assert [file.name for file in files if "sksurv" in file.read_text(encoding="utf-8")] == []


def test_where_scikit_survival_is_not_installed_its_column_is_empty(software, monkeypatch):
    monkeypatch.setattr(software, "SCIKIT_SURVIVAL", False)
    alone = software.curve_rows()
    assert [row.scikit_survival for row in alone] == [None] * 6
    monkeypatch.setattr(software, "software_rows", lambda: alone)
    assert "scikit-survival (not installed)" in software.software_section()


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
    assert first == ["0.75294118", "0.75294118", "0.75294118", "0.75294118" if software.SCIKIT_SURVIVAL else "–", "0.75294118", " |"]
    assert cells["E-value of the interval's nearer end"][1:4] == ["–", "–", "–"]
