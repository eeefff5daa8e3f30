"""The registers answer questions about themselves, and the database keeps to its memory."""

import datetime as dt
import re
from pathlib import Path

import pandas as pd
import pytest

from evaluation.errors import InputError
from evaluation.registers.contract import load_contract
from evaluation.registers.reading import TYPES
from evaluation.registers.store import Registers, open_store, scalar


@pytest.fixture
def registers() -> Registers:
    connection = open_store(threads=1)
    connection.execute("create schema register")
    connection.execute("create table register.individ as select 'P' || i as lopnr from range(3) r(i)")
    connection.execute(
        """create table register.leverans as select * from (values
        ('SCB', date '2023-03-01', date '2022-12-01', null, false), ('FK', date '2023-04-01', date '2022-02-01', null, true))
        v(myndighet, datauttag, komplett_t_o_m, schemaversion, syntetisk)"""
    )
    return Registers(connection, load_contract(), ("leverans", "individ"))


@pytest.mark.hand
def test_registers_count_their_rows_and_know_where_follow_up_ends(registers: Registers) -> None:
    assert registers.rows == {"leverans": 2, "individ": 3}
    assert registers.complete_until == dt.date(2022, 2, 28)


def test_one_agency_with_invented_records_makes_the_registers_synthetic(registers: Registers) -> None:
    assert registers.synthetic
    registers.connection.execute("update register.leverans set syntetisk = false")
    assert not Registers(registers.connection, registers.contract, registers.names).synthetic


def test_a_table_comes_as_a_frame_also_after_a_question(registers: Registers) -> None:
    assert registers.complete_until
    pd.testing.assert_frame_equal(registers.frame("individ"), pd.DataFrame({"lopnr": ["P0", "P1", "P2"]}))


def test_registers_introduce_themselves_in_one_line(registers: Registers) -> None:
    assert repr(registers) == "Registers(2 tables, 5 rows, synthetic, complete until 2022-02-28)"
    assert re.fullmatch(r"Contract\(version 1\.\d+\.\d+, 15 tables, 18 code lists\)", repr(registers.contract))


def test_a_table_that_was_not_delivered_is_told_with_the_nearest_that_was(registers: Registers) -> None:
    with pytest.raises(InputError, match=r"is not among those delivered; did you mean individ\?"):
        registers.frame("indvid")
    with pytest.raises(InputError, match=r"choose among leverans, individ"):
        registers.frame("x")


def test_a_question_without_an_answer_has_none(registers: Registers) -> None:
    assert scalar(registers.connection, "select 1 where false") is None
    assert scalar(registers.connection, "select null") is None


def test_every_kind_of_column_has_a_type(registers: Registers) -> None:
    kinds = {entry.kind for schema in registers.contract.tables.values() for entry in schema.fields}
    assert kinds == set(TYPES)


def test_what_does_not_fit_in_memory_is_spilled_to_the_folder_given_and_taken_away(tmp_path: Path) -> None:
    connection = open_store(memory_mb=60, threads=1, temp_folder=tmp_path)
    connection.execute("create table t as select md5(i::varchar) as a from range(3_000_000) r(i)")
    assert list(tmp_path.iterdir())
    assert scalar(connection, "select count(*) from t") == 3_000_000
    connection.close()
    assert not list(tmp_path.iterdir())


def test_nothing_is_fetched_from_the_network() -> None:
    assert scalar(open_store(), "select value from duckdb_settings() where name = 'autoinstall_known_extensions'") == "false"
