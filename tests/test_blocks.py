"""What stands in a table's column is found from its cells: words from the left, numbers from the right."""

from collections.abc import Sequence

import pytest

from evaluation.reporting.blocks import columns_of_words
from evaluation.reporting.disclosure import HIDDEN
from evaluation.reporting.tables import Table

NUMBERS = {
    "shares with intervals": ["16,7 (15,1 till 18,4)", "+9,2 (+7,0 till +11,3)"],
    "signs and bounds": ["−3,8", "+2,0", "< 0,001", "<10"],
    "units in words": ["95 procent", "3,0 procentenheter"],
    "mostly numbers, one reason": ["+8,1", "+10,3", "för få"],
    "nothing said": ["–", "", HIDDEN],
    "no rows": [],
}
WORDS = {
    "sources": ["Finsam Malmö 2018", "Pressmeddelande 2020 (“nära 6 000”)"],
    "dates": ["1 mars 2018", "30 november 2022", "–"],
    "dates for machines": ["2018-03-01", "2022-11-30"],
    "dates in English": ["1 March 2018", "30 November 2022"],
    "checksums": ["86" * 32],
    "one answer among gaps": ["–", HIDDEN, "klarar"],
}


def table(cells: Sequence[str]) -> Table:
    return Table("Tabell", ("Rad", "Kolumn"), tuple((str(row), cell) for row, cell in enumerate(cells)))


@pytest.mark.hand
@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_are_read_from_the_right(name: str) -> None:
    assert columns_of_words(table(NUMBERS[name])) == (True, False)


@pytest.mark.hand
@pytest.mark.parametrize("name", WORDS)
def test_words_are_read_from_the_left(name: str) -> None:
    assert columns_of_words(table(WORDS[name])) == (True, True)
