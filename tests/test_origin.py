"""The three meanings of a background outside Europe, person by person."""

import pandas as pd
import pytest

from evaluation.registers.contract import load_contract
from evaluation.registers.origin import DEFINITIONS, classify_origin

REGIONS = load_contract().codes["fodelselandgrupp"]

PEOPLE = """
who                                   born  background  mother  father | outside_europe  outside_eu  with_background
Sweden,_parents_from_Sweden           00    22          00      00     | nej             nej         nej
Sweden,_parents_from_Iraq             00    12          07      07     | nej             nej         ja
Sweden,_mother_unknown_father_Somalia 00    12          11      04     | nej             nej         ja
Sweden,_both_parents_unknown          00    12          11      -      | nej             nej         okand
Sweden,_father_from_Iraq_only         00    21          00      07     | nej             nej         nej
Sweden,_mother_Poland_father_Iraq     00    12          02      07     | nej             nej         nej
Finland                               01    11          01      01     | nej             nej         nej
Bosnia                                03    11          03      03     | nej             ja          nej
Soviet_Union                          09    11          09      09     | nej             ja          nej
Turkey                                07    11          07      07     | ja              ja          ja
Chile                                 06    11          06      06     | ja              ja          ja
not_known                             11    -           -       -      | okand           okand       okand
missing                               -     -           -       -      | okand           okand       okand
"""


def drawn() -> pd.DataFrame:
    lines = [line.replace("|", " ").split() for line in PEOPLE.strip().splitlines()]
    return pd.DataFrame(lines[1:], columns=lines[0]).replace("-", None)


@pytest.mark.hand
def test_each_definition_sorts_each_person_as_its_sentence_says() -> None:
    people = drawn()
    names = {"born": "fodelselandgrupp", "background": "utlsvbakg", "mother": "mor_fodelselandgrupp", "father": "far_fodelselandgrupp"}
    found = classify_origin(people.rename(columns=names), REGIONS)
    assert tuple(found.columns) == DEFINITIONS
    for definition, column in zip(DEFINITIONS, ("outside_europe", "outside_eu", "with_background"), strict=True):
        assert dict(zip(people["who"], found[definition], strict=True)) == dict(zip(people["who"], people[column], strict=True))


@pytest.mark.hand
@pytest.mark.parametrize("code", [None, "11"])
def test_where_no_parent_s_region_is_known_for_anybody_it_is_unknown_for_those_it_decides(code: str | None) -> None:
    persons = pd.DataFrame({"fodelselandgrupp": ["07", "00", "00"], "utlsvbakg": ["11", "12", "22"]})
    persons = persons.assign(mor_fodelselandgrupp=pd.Series([code] * 3, dtype="string"), far_fodelselandgrupp=pd.Series([code] * 3, dtype="string"))
    assert classify_origin(persons, REGIONS)["bakgrund_utanfor_europa"].tolist() == ["ja", "okand", "nej"]
    assert (classify_origin(persons.assign(fodelselandgrupp=code), REGIONS) == "okand").to_numpy().all()


def test_without_the_parents_regions_the_third_definition_is_absent() -> None:
    persons = pd.DataFrame({"fodelselandgrupp": ["07"], "utlsvbakg": ["11"]}, index=[9])
    found = classify_origin(persons, REGIONS)
    assert found.to_dict("index") == {9: {"fodd_utanfor_europa": "ja", "fodd_utanfor_eu_efta": "ja"}}
