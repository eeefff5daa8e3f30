"""Synthetic registers: their truth, their likeness to what is known, their faults, and that the same seed writes the same bytes."""

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from evaluation.errors import InputError
from evaluation.registers.contract import load_contract
from evaluation.registers.synthetic import simulate, walk
from evaluation.registers.synthetic.dirt import soil
from evaluation.registers.synthetic.people import draw_people, pension_day
from evaluation.registers.synthetic.simulate import SyntheticRegisters, monthly_places, simulate_registers
from evaluation.registers.synthetic.writing import MARK, TRUTH, write_registers

PARTICIPANTS, POOL = 400, 4_000
WORK_OR_STUDIES = [walk.STATES[state] for state in walk.SUCCESS]
WITHOUT_PERSONS = {"leverans", "arbetslosa_manad", "mal"}
SAMPLING_ERROR = 0.02  # two standard errors of a share among 2,000 participants of a phase
LEAST_MEMBERS = 10  # a stratum with fewer could not be reported


@cache
def world(effect: str = "published", **options: object) -> SyntheticRegisters:
    return simulate_registers(PARTICIPANTS, POOL, seed=5, effect=effect, **options)


@pytest.fixture(scope="module")
def full_size() -> SyntheticRegisters:
    return simulate_registers(seed=1)


def true(registers: SyntheticRegisters, estimand: str, horizon: int, by: str = "", level: str = "") -> float:
    rows = registers.truth.query("estimand == @estimand and horizon_days == @horizon and by == @by and level == @level")
    return float(rows["effect"].iloc[0])


# --- the truth


@pytest.mark.property
@pytest.mark.parametrize(("sorting", "hidden_bias"), [("none", 0.0), ("job_ready", 0.0), ("hard_to_place", 0.0), ("none", 1.0)])
def test_where_a_start_does_nothing_every_true_effect_is_exactly_nothing(sorting: str, hidden_bias: float) -> None:
    """Whoever is selected, and however: both worlds of the same person then run over the same random numbers to the same end."""
    effects = world("none", sorting=sorting, hidden_bias=hidden_bias).truth["effect"]
    assert (effects.dropna() == 0).all()
    assert effects.notna().mean() > 0.99


@pytest.mark.property
def test_the_selected_differ_from_the_others_where_there_is_selection_and_only_there() -> None:
    def in_work_early(**options: object) -> float:
        potential = world("none", **options).potential.query("world == 'never' and days <= 548")
        return float(potential["exit"].isin(WORK_OR_STUDIES).sum() / PARTICIPANTS)

    assert in_work_early(sorting="job_ready") > in_work_early(sorting="hard_to_place") + 0.06
    assert in_work_early(sorting="none", hidden_bias=1.0) > in_work_early(sorting="none") + 0.05


@pytest.mark.property
def test_the_effects_have_the_shape_that_was_asked_for() -> None:
    assert true(world("constant"), "E1", 548) > 0.05
    assert true(world("larger_outside_europe"), "E1", 548, "fodd_utanfor_europa", "ja - nej") > 0.04
    lock_in = world("lock_in")
    assert true(lock_in, "E1", 183) < true(lock_in, "E1", 365) < true(lock_in, "E1", 548)


@pytest.mark.property
def test_an_effect_of_waiting_is_smaller_than_one_of_never_starting(full_size: SyntheticRegisters) -> None:
    """Whoever may start later gets a part of the effect later: E1 dilutes what E2 does not."""
    for horizon in (365, 548, 730):
        assert 0 < true(full_size, "E1", horizon) < true(full_size, "E2", horizon)


def test_by_default_the_published_claims_hold(full_size: SyntheticRegisters) -> None:
    assert true(full_size, "E1", 548) > 0.05  # more to work or studies
    assert true(full_size, "E3", 730) < -20  # faster, in days
    assert abs(true(full_size, "E1", 548, "kon", "2 - 1")) < 0.03  # men and women alike
    assert true(full_size, "E1", 548, "fodd_utanfor_europa", "ja - nej") > 0.02  # larger for those born outside Europe
    gains = full_size.truth.query("estimand == 'E4' and horizon_days == 365 and by == ''").set_index("what")["effect"]
    assert gains[["nystartsjobb", "arbete_subventionerat", "arbete_lonebidrag"]].sum() > gains["arbete_osubventionerat"] > -0.01  # subsidised


@pytest.mark.property
def test_the_states_of_every_world_and_month_are_shares_of_everybody() -> None:
    shares = world().truth.query("estimand == 'E4' and started.notna()").groupby(["by", "level", "horizon_days"])[["started", "otherwise"]].sum()
    np.testing.assert_allclose(shares, 1.0, atol=1e-9)


@pytest.mark.property
def test_the_worlds_agree_until_the_start_and_in_who_they_are() -> None:
    people, numbers = draw_people(600, np.random.default_rng(2)), walk.draw_noise(600, np.random.default_rng(3))
    given = {"effect": walk.EFFECTS["constant"], "log_weight": np.zeros(600), "places": monthly_places(60)}
    factual = walk.walk(people, numbers, **given)
    for name in ("not_now", "never"):
        other = walk.walk(people, numbers, world=name, factual=factual, **given)
        until = np.where(np.isnat(factual.start), walk.LAST_MONTH + 1, factual.start.astype("datetime64[M]"))

        def before_the_start(path: walk.Path, until: np.ndarray = until) -> pd.DataFrame:
            early = path.day.astype("datetime64[M]") < until[path.person]
            return pd.DataFrame({"person": path.person[early], "day": path.day[early], "state": path.state[early]})

        pd.testing.assert_frame_equal(before_the_start(other), before_the_start(factual))
        started = ~np.isnat(factual.start)
        assert np.isnat(other.start[started]).all() if name == "never" else (other.start[started] != factual.start[started]).all()


@pytest.mark.hand
def test_pension_begins_in_the_year_of_the_age_limit_of_that_year() -> None:
    born = np.array([1956, 1957, 1958, 1960])  # 65 in 2021 and 2022; 65 in 2023 is too early, 66 in 2024 is not
    assert pension_day(born).astype(str).tolist() == ["2021-01-01", "2022-01-01", "2024-01-01", "2026-01-01"]


# --- likeness


def test_the_shares_are_the_published_ones(full_size: SyntheticRegisters) -> None:
    margins = full_size.margins.dropna(subset="low")
    assert (margins["synthetic"] >= margins["low"] - SAMPLING_ERROR).all()
    assert (margins["synthetic"] <= margins["high"] + SAMPLING_ERROR).all()
    assert len(margins) >= 8


def test_every_stratum_that_is_reported_has_people_in_it(full_size: SyntheticRegisters) -> None:
    started = full_size.tables["projekt_deltagande"].dropna(subset="start_datum").merge(full_size.tables["individ"], on="lopnr")
    started["outside"] = started["fodelselandgrupp"].isin(("04", "05", "06", "07", "08"))
    for cross in (["fas", "kon", "outside"], ["team"], ["malgrupp"], ["fas", "malgrupp"], ["utlsvbakg"]):
        assert started[started["utlsvbakg"] != ""].groupby(cross).size().min() >= LEAST_MEMBERS
    assert set(started["team"]) == {*map(str, range(1, 11)), "FK"}
    assert started.groupby(started["start_datum"].dt.to_period("M")).size().min() >= LEAST_MEMBERS
    outcomes = full_size.potential.query("world == 'factual'").groupby("exit").size()
    assert outcomes.drop("before", errors="ignore").min() >= LEAST_MEMBERS


def test_as_many_take_part_as_were_asked_for_half_in_each_phase(full_size: SyntheticRegisters) -> None:
    started = full_size.tables["projekt_deltagande"].dropna(subset="start_datum")
    assert started["lopnr"].is_unique
    assert started.groupby("fas").size().to_dict() == {"1": 2_000, "2.0": 2_000}
    assert len(full_size.tables["individ"]) == 44_000


def test_whoever_starts_from_jug_is_in_jug_that_day(full_size: SyntheticRegisters) -> None:
    started = full_size.tables["projekt_deltagande"].query("malgrupp == 'JUG'").dropna(subset="start_datum")
    decisions = full_size.tables["program_beslut"].fillna({"slut": pd.Timestamp("2099-01-01")})
    both = started.merge(decisions, on="lopnr")
    assert both[both["start_datum"].between(both["start"], both["slut"])]["lopnr"].nunique() == len(started)


def test_contact_is_lost_in_about_a_fifth_of_the_exits_and_nearly_half_of_them_work(full_size: SyntheticRegisters) -> None:
    states = full_size.states.sort_values(["lopnr", "start"])
    left_jug = (states["state"].shift() == "program") & (states["lopnr"].shift() == states["lopnr"]) & (states["state"] != "forhinder")
    exits = states[left_jug & (states["start"] >= "2019-03-01") & (states["start"] < "2023-06-01")]
    assert (exits["state"] == "okand").mean() == pytest.approx(0.20, abs=0.04)
    lost = exits[(exits["state"] == "okand") & ((exits["stop"] - exits["start"]).dt.days > 75)]
    month = (lost["start"] + pd.Timedelta(days=45)).dt.strftime("%Y-%m")
    paid = lost.assign(manad=month).merge(full_size.tables["manadslon"][["lopnr", "manad"]], on=["lopnr", "manad"], how="inner")
    assert len(paid) / len(lost) == pytest.approx(0.45, abs=0.06)


def test_subsidised_jobs_come_more_often_after_450_days_in_jug(full_size: SyntheticRegisters) -> None:
    decisions = full_size.tables["program_beslut"]
    days = (decisions["slut"].fillna(pd.Timestamp("2023-12-31")) - decisions["start"]).dt.days
    jobs = decisions.merge(full_size.tables["stod_beslut"].query("stodtyp in ('extratjanst', 'introjobb')")[["lopnr", "start"]], on="lopnr")
    taken = jobs[(jobs["start_y"] - jobs["slut"]).dt.days == 1]
    waited = (taken["slut"] - taken["start_x"]).dt.days

    def rate(first: int, last: int) -> float:
        return waited.between(first, last).sum() / (days.clip(upper=last) - first).clip(lower=0).sum()

    assert rate(450, 650) > 2 * rate(250, 450)


@pytest.mark.parametrize("name", sorted(load_contract().tables))
def test_each_table_has_the_columns_of_its_schema(name: str) -> None:
    table = world().tables[name]
    assert list(table.columns) == [field.name for field in load_contract().tables[name].fields]
    assert len(table)
    if name not in WITHOUT_PERSONS:
        assert set(table["lopnr"]) <= set(world().tables["individ"]["lopnr"])


def test_everything_says_that_it_is_synthetic() -> None:
    assert world().tables["leverans"]["syntetisk"].all()


# --- faults


def test_faults_change_neither_the_truth_nor_anybody_s_states() -> None:
    clean, dirty = world(), world(dirt=0.05)
    pd.testing.assert_frame_equal(clean.truth, dirty.truth)
    pd.testing.assert_frame_equal(clean.states, dirty.states)
    assert min(dirty.planted.values()) > 0
    assert clean.planted == {}
    touched = {"inskrivning", "sokandekategori"}
    for name in clean.tables:
        assert clean.tables[name].equals(dirty.tables[name]) == (name not in touched)


@pytest.mark.property
def test_however_faults_fall_everybody_who_starts_is_registered_that_day_if_they_were_before() -> None:
    def registered(tables: dict[str, pd.DataFrame]) -> pd.Series:
        both = tables["projekt_deltagande"].dropna(subset="start_datum").merge(tables["inskrivning"], on="lopnr")
        held = both["start_datum"].between(both["inskriven_datum"], both["avaktualiserad_datum"].fillna(pd.Timestamp("2099-01-01")))
        return held.groupby(both["lopnr"]).any()

    clean = world().tables
    assert registered(clean).all()
    for seed in range(8):
        soiled, planted = soil(clean, 0.2, np.random.default_rng(seed))
        assert registered(soiled).all()
        assert planted["gap"] == soiled["inskrivning"].loc[soiled["inskrivning"]["inskr_id"].str.endswith("b")].drop_duplicates().shape[0]


# --- on disk


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


@pytest.mark.parametrize("file_format", ["csv", "parquet"])
def test_the_same_seed_writes_the_same_bytes_and_another_seed_others(tmp_path: Path, file_format: str) -> None:
    one, again = (write_registers(simulate_registers(40, 400, seed=9, dirt=0.05), tmp_path / name, file_format=file_format) for name in ("a", "b"))
    other = write_registers(simulate_registers(40, 400, seed=10, dirt=0.05), tmp_path / "c", file_format=file_format)
    assert bytes_of(one) == bytes_of(again)
    assert f"sokandekategori.{file_format}" in bytes_of(one)
    assert bytes_of(one)[f"sokandekategori.{file_format}"] != bytes_of(other)[f"sokandekategori.{file_format}"]


def test_the_folder_says_what_it_is_and_keeps_the_truth_apart(tmp_path: Path) -> None:
    folder = write_registers(world(), tmp_path / "registers")
    assert "Ingen person i dessa register finns" in (folder / MARK).read_text(encoding="utf-8")
    assert sorted(file.stem for file in (folder / TRUTH).iterdir()) == ["effekter", "fel", "marginaler", "tillstand", "utfall"]
    assert {file.stem for file in folder.glob("*.csv")} == set(load_contract().tables)


def test_synthetic_registers_are_replaced_and_nothing_else_is(tmp_path: Path) -> None:
    folder = write_registers(world(), tmp_path / "registers", file_format="parquet")
    write_registers(world(), folder)
    assert not list(folder.glob("*.parquet"))
    assert [entry.name for entry in tmp_path.iterdir()] == ["registers"]
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "individ.csv").write_text("delivered", encoding="utf-8")
    with pytest.raises(InputError, match="holds something other than synthetic registers"):
        write_registers(world(), tmp_path / "real")
    assert (tmp_path / "real" / "individ.csv").read_text(encoding="utf-8") == "delivered"


# --- what cannot be


def test_an_unknown_effect_is_refused_with_those_there_are() -> None:
    with pytest.raises(InputError, match="'huge' is not the name of an effect; choose among none, constant"):
        simulate_registers(40, 400, seed=1, effect="huge")


def test_a_world_with_too_few_people_is_refused_with_its_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulate, "SURPLUS", 0.9)
    with pytest.raises(InputError, match=r"cannot both be had: 37 of 37 could start, \d+ of 400 were left to compare with"):
        simulate_registers(40, 400, seed=1)


def test_numbers_out_of_bounds_are_refused_together() -> None:
    with pytest.raises(
        InputError, match=r"the world cannot be simulated \(2 problems\)(.|\n)*pool: input should be greater(.|\n)*dirt: input should be less"
    ):
        simulate_registers(40, 40, seed=1, dirt=0.5)
