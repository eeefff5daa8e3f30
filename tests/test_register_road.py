"""From delivery to states: what the cleaned registers say is what happened to the synthetic people, and every planted fault is counted."""

from functools import cache

import pandas as pd
import pytest

from evaluation.registers.cleaning import CleanRegisters, clean_registers
from evaluation.registers.states import observe_states
from evaluation.registers.synthetic.simulate import SyntheticRegisters, simulate_registers
from evaluation.registers.validation import read_registers

DAY = "datetime64[s]"
SEEDS = (1, 2, 3)


@cache
def made(seed: int, **options: object) -> SyntheticRegisters:
    return simulate_registers(60, 600, seed=seed, **options)


@cache
def cleaned(synthetic: SyntheticRegisters) -> CleanRegisters:
    return clean_registers(read_registers(synthetic.tables))


def states(clean: CleanRegisters) -> pd.DataFrame:
    found = observe_states(clean).frame()[["lopnr", "start", "stop", "state"]]
    return found.astype({"start": DAY, "stop": DAY}).sort_values(["lopnr", "start"], ignore_index=True)


def truth(synthetic: SyntheticRegisters) -> pd.DataFrame:
    return synthetic.states.astype({"start": DAY, "stop": DAY})


@pytest.mark.recovery
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("dirt", [0.0, 0.1])
def test_cleaned_registers_say_what_happened_to_everybody_on_every_day(seed: int, dirt: float) -> None:
    """The states were written down by the simulation, and are found again by rules that know nothing of it."""
    synthetic = made(seed, dirt=dirt)
    pd.testing.assert_frame_equal(states(cleaned(synthetic)), truth(synthetic))


@pytest.mark.recovery
@pytest.mark.parametrize("seed", SEEDS)
def test_every_planted_fault_is_counted_by_its_rule_and_no_other(seed: int) -> None:
    synthetic = made(seed, dirt=0.1)
    audit = cleaned(synthetic).audit
    audit = audit[audit["table"].isin(("inskrivning", "sokandekategori"))]
    counted = (audit["removed"] + audit["changed"]).groupby(audit["rule"]).sum()
    gaps = audit.query("table == 'inskrivning' and rule == 'gap'")["changed"].sum()  # a gap is one between registrations, mended in both tables
    assert {**{rule: counted[rule] for rule in synthetic.planted}, "gap": gaps} == synthetic.planted


@pytest.mark.recovery
@pytest.mark.parametrize(("seed", "dirt"), [(7, 0.05), (4, 0.2)])
def test_no_planted_fault_stops_a_delivery_where_many_start(seed: int, dirt: float) -> None:
    """A gap in the registrations is never planted over the day somebody starts, who then would start without one."""
    synthetic = simulate_registers(400, 800, seed=seed, dirt=dirt)
    assert synthetic.planted["gap"] > 0
    pd.testing.assert_frame_equal(states(cleaned(synthetic)), truth(synthetic))


@pytest.mark.property
def test_without_cleaning_the_faults_would_have_mattered() -> None:
    """The test above can fail: the soiled tables, taken as they are, say something else."""
    clean, dirty = made(1).tables["sokandekategori"], made(1, dirt=0.1).tables["sokandekategori"]
    both = clean.merge(dirty, on=["lopnr", "inskr_id", "start", "slut", "skat"], how="outer", indicator=True)
    assert (both["_merge"] != "both").mean() > 0.1


@pytest.mark.property
def test_neither_the_order_of_the_rows_nor_the_numbers_of_the_people_matter() -> None:
    synthetic = made(2, dirt=0.1)
    people = synthetic.tables["individ"]["lopnr"]
    renamed = dict(zip(people, "X" + people.sample(frac=1, random_state=1).to_numpy(), strict=True))
    shuffled = {name: table.sample(frac=1, random_state=2, ignore_index=True) for name, table in synthetic.tables.items()}
    shuffled = {name: table.replace({"lopnr": renamed}) if "lopnr" in table else table for name, table in shuffled.items()}
    again = states(clean_registers(read_registers(shuffled)))
    expected = truth(synthetic).replace({"lopnr": renamed}).sort_values(["lopnr", "start"], ignore_index=True)
    pd.testing.assert_frame_equal(again, expected)
