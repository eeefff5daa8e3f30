"""Attacks on the groups: the forest's coordinates, the tables beside it and the results tell of nothing of few in any group or crossing."""

import itertools
import re
import runpy
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from evaluation.analysis.curves import ARMS
from evaluation.design.verdict import DesignLimits
from evaluation.plan import Plan, load_plan
from evaluation.plan_sections import DisclosureSection, SubgroupSection
from evaluation.release.ledger import LEDGER
from evaluation.reporting.blocks import Picture, Rows
from evaluation.reporting.bundle import new_ledger
from evaluation.reporting.results import Json, study_results
from evaluation.reporting.scene import scene_of
from evaluation.reporting.subgroups import subgroup_section
from evaluation.study import Study, analyse_study, design_study

attack = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("attack.py"))))

pytestmark = pytest.mark.filterwarnings("ignore::evaluation.errors.UnmatchedWarning")

REPORTS = Path(__file__).parents[1] / "reports"
STUDY = "employment-agency"
SMALL_WORLD = {("female", "white"): 120, ("female", "nonwhite"): 3, ("male", "white"): 96, ("male", "nonwhite"): 57}
FEW_FOUND_WORK = {("female", "white"): 20, ("female", "nonwhite"): 20, ("male", "white"): 75, ("male", "nonwhite"): 75}
EARLY, LATE = 10, 60  # weeks, before and after the horizon of the answer
PIXEL = 0.005  # coordinates are written with two decimals
CROSSED = ("sex", "race")
FUZZ = 2 * attack.ROUNDING


def world(people: dict[tuple[str, str], int], found: dict[tuple[str, str], int]) -> pd.DataFrame:
    """Give either arm the same people by sex and race, of whom so many of the treated, and half of the controls, have success."""
    rows = []
    for (sex, race), n in people.items():
        for arm, successes in (("yes", found[sex, race]), ("no", n // 2)):
            rows += [(sex, race, arm, place % 2, EARLY if place < successes else LATE, int(place < successes)) for place in range(n)]
    table = pd.DataFrame(rows, columns=["sex", "race", "pubemp", "ftp1", "duration", "spell"])
    table[["reason", "search", "nobs"]] = "lose", "public", 1
    table[["ftp2", "ftp3", "ftp4"]] = 0
    return table.assign(rownames=range(1, len(table) + 1))


def plan(*by: str | tuple[str, ...]) -> Plan:
    loose = DesignLimits(worst_smd=9, worst_subgroup_smd=9, worst_variance_ratio=99, share_treated_kept=0.1, equipoise=0.01, effective_control=1)
    read = load_plan(REPORTS / STUDY)
    matching = read.matching.model_copy(update={"ratio": 1, "exact": CROSSED, "caliper_sd": None})
    cohort = read.cohort.model_copy(update={"covariates": ("sex", "race", "ftp1")})
    return read.model_copy(update={"subgroups": SubgroupSection(registered=by), "limits": loose, "matching": matching, "cohort": cohort})


def studied(table: pd.DataFrame, of: Plan) -> Study:
    return analyse_study(table, design_study(table, of))


@cache
def crossing(threshold: int = 10) -> Study:
    """276 treated, of whom three are women who are not white."""
    if threshold != 10:
        return under(crossing(), threshold)
    found = {group: round(0.4 * n) for group, n in SMALL_WORLD.items()}
    return studied(world(SMALL_WORLD, found), plan("sex", "race", CROSSED))


@cache
def few_successes(threshold: int = 10) -> Study:
    """190 treated, 75 of them with success, of whom five are women."""
    if threshold != 10:
        return under(few_successes(), threshold)
    found = dict(zip(FEW_FOUND_WORK, (2, 3, 35, 35), strict=True))
    return studied(world(FEW_FOUND_WORK, found), plan("sex"))


def under(study: Study, threshold: int) -> Study:
    changed = study.design.plan.model_copy(update={"disclosure": DisclosureSection(threshold=threshold)})
    return replace(study, design=replace(study.design, plan=changed))


# --- what is read


def read_off(results: Json) -> tuple[dict[str, int | None], list[tuple[str, list[str]]]]:
    """Read people, and those with and without success, of either arm, of its groups and of their crossing, with all that adds up."""
    shown: dict[str, int | None] = {}
    sums: list[tuple[str, list[str]]] = []
    (whole,) = [row for row in results["effects"] if row["primary"]]
    rows = {"": whole} | {f"{row['by']}: {row['group']}": row for row in results["subgroups"]}
    for arm, (group, row) in itertools.product(ARMS, rows.items()):
        people, share = row[f"people_{arm}"], row[arm]
        name = f"{arm} {group}"
        shown |= {name: people, f"{name}, success": None if share is None else round(share["value"] * people)}
        sums.append((name, [f"{name}, success", f"{name}, none"]))
    for arm, (whole_of, parts), kind in itertools.product(ARMS, made_of(list(rows)), ("", ", success")):
        sums.append((f"{arm} {whole_of}{kind}", [f"{arm} {part}{kind}" for part in parts]))
    return shown, sums


def made_of(groups: list[str]) -> list[tuple[str, list[str]]]:
    """Say which groups make up everybody, and which of a crossing make up each of the groups that it crosses."""
    by = {group: group.partition(": ")[0] for group in groups if group}
    found = [("", [group for group in by if by[group] == name]) for name in dict.fromkeys(by.values())]
    crossed = [group for group in by if " x " in by[group]]
    for group, name in by.items():
        if crossed and " x " not in name:
            place, level = by[crossed[0]].split(" x ").index(name), group.partition(": ")[2]
            found.append((group, [one for one in crossed if one.partition(": ")[2].split(" x ")[place] == level]))
    return found


def worked_out(results: Json, *, exact: bool) -> list[str]:
    """Name the counts of which an attacker is certain that they are of somebody and of few."""
    shown, sums = read_off(results)
    others = {f"{whole}, none": (0, None) for whole in shown if f"{whole}, none" in sums_of(sums)}
    names = [name for name, count in shown.items() if count is None or count < attack.THRESHOLD]
    return [name for name in [*names, *others] if attack.is_few(*attack.interval(name, shown, sums, exact=exact, extra=others))]


def sums_of(sums: list[tuple[str, list[str]]]) -> set[str]:
    return {part for _, parts in sums for part in parts}


def drawn(study: Study) -> list[tuple[float, float, float]]:
    """Read the coordinates of every row of the forest: the lower end, the value and the upper end."""
    pictures = [block.svg for block in subgroup_section(study, scene_of(study, "en")).blocks if isinstance(block, Picture)]
    rows: dict[str, list[float]] = {}
    marks = [one for svg in pictures for one in ElementTree.fromstring(svg).iter() if one.tag.endswith("use") and one.get("x")]
    for mark in marks:
        rows.setdefault(str(mark.get("y")), []).append(float(str(mark.get("x"))))
    return [(min(places), sorted(places)[1], max(places)) for places in rows.values() if len(places) == 3]


def told(study: Study) -> list[tuple[float, float, float]]:
    """Give what the rows of the forest are of: everybody, then what the table has numbers for."""
    look = scene_of(study, "en")
    (table,) = [block.table for block in subgroup_section(study, look).blocks if isinstance(block, Rows) and "Effect" not in block.table.caption][:1]
    number = re.compile(r"[+−]?\d+\.\d")
    rows = [[float(one.replace("−", "-")) for one in number.findall(f"{row[-2]} {row[-1]}")] for row in table.rows]
    return [(low, value, high) for value, low, high in (row for row in rows if len(row) == 3)]


# --- the attacks


@pytest.mark.parametrize("threshold", [10, 0])
def test_nothing_of_few_is_worked_out_of_a_crossing_and_its_margins(threshold: int) -> None:
    assert bool(worked_out(study_results(crossing(threshold)), exact=threshold == 0)) is (threshold == 0)


@pytest.mark.parametrize("threshold", [10, 0])
def test_nothing_of_few_is_worked_out_of_who_has_success_in_groups_and_in_all(threshold: int) -> None:
    assert bool(worked_out(study_results(few_successes(threshold)), exact=threshold == 0)) is (threshold == 0)


def test_something_of_every_study_is_left_to_be_shown() -> None:
    for study in (crossing(), few_successes()):
        rows = study_results(study)["effects"]
        assert all(row["difference"] for row in rows if row["primary"])
    assert sum(row["difference"] is not None for row in study_results(crossing())["subgroups"]) >= 4


def test_the_forest_draws_what_the_table_says_and_no_row_of_few() -> None:
    """Coordinates, with everybody's row first, lie on one line against the numbers of the table, within its decimals."""
    for threshold in (10, 0):
        study = crossing(threshold)
        places, numbers = np.array(drawn(study)), np.array(told(study))
        assert len(places) == len(numbers) + 1
        slope, start = np.polyfit(numbers.ravel(), places[1:].ravel(), 1)
        assert (places[1:] - start) / slope == pytest.approx(numbers, abs=0.1)


@pytest.mark.parametrize(("threshold", "rounded"), [(10, True), (0, False)])
def test_the_coordinates_are_those_of_rounded_counts(threshold: int, rounded: bool) -> None:
    """They are finer than the table's decimals; read on the scale of two rows, they stand for whole multiples of the base and for nothing finer."""
    study = crossing(threshold)
    groups = [row for row in study_results(study)["subgroups"] if row["difference"] and " x " not in row["by"]]
    exact = [
        (row["people_treated"], round(row["treated"]["value"] * row["people_treated"]) - round(row["control"]["value"] * row["people_control"]))
        for row in groups
    ]
    assert all(row["people_treated"] == row["people_control"] for row in groups)
    places = [row[1] for row, kind in zip(drawn(study)[1:], kinds(study), strict=True) if kind == "group"][: len(groups)]
    values = np.array([count / people for people, count in exact])
    slope, start = np.polyfit(values, places, 1)
    assert np.array(places) == pytest.approx(start + slope * values, abs=4 * PIXEL)
    assert all(count % attack.BASE == 0 and people % attack.BASE == 0 for people, count in exact) is rounded


def kinds(study: Study) -> list[str]:
    """Say of each row of the forest that has numbers whether it is of a group or a difference of two."""
    return ["difference" if " minus " in row[0] else "group" for row in table_rows(study) if re.search(r"\d", row[-1])]


def table_rows(study: Study) -> list[tuple[str, ...]]:
    tables = [block.table for block in subgroup_section(study, scene_of(study, "en")).blocks if isinstance(block, Rows)]
    return list(tables[0].rows)


# --- two releases a person apart


def counts_of(results: Json) -> dict[str, int]:
    return {name: count for name, count in read_off(results)[0].items() if count is not None}


def certain_changes(first: Json, second: Json) -> list[str]:
    before, after = counts_of(first), counts_of(second)
    return [
        name for name in before if name in after and attack.is_few(abs(after[name] - before[name]) - FUZZ, abs(after[name] - before[name]) + FUZZ)
    ]


def test_beside_the_ledger_no_group_tells_of_one_whose_success_was_taken_back(tmp_path: Path) -> None:
    folder = tmp_path / STUDY
    folder.mkdir()
    found = {("female", "white"): 48, ("female", "nonwhite"): 0, ("male", "white"): 40, ("male", "nonwhite"): 23}
    of = plan("sex", "race").model_copy(update={"folder": folder})
    first, second = (studied(world(SMALL_WORLD, {**found, ("male", "nonwhite"): 23 - less}), of) for less in (0, 1))
    results = study_results(first)
    assert certain_changes(results, study_results(second))  # alone
    (folder / LEDGER).write_text(new_ledger(first, scene_of(first, "en").passed).to_csv(), encoding="utf-8")
    beside = study_results(replace(second))
    assert certain_changes(results, beside) == []
    assert set(counts_of(beside)) == set(counts_of(results))
    assert drawn(replace(second)) == drawn(first)
