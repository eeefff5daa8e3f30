"""A plan becomes specs, or is refused with every problem at once, each with its key, never with a value."""

import copy
import hashlib
import inspect
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from evaluation.analysis.exits import OutcomeSpec
from evaluation.design.matching import MatchingSpec
from evaluation.design.verdict import DesignLimits
from evaluation.errors import PlanError
from evaluation.plan import RegisterPlan, TablePlan, load_plan, read_plan
from evaluation.plan_sections import SimulationSection, Text, words_to_replace
from evaluation.registers.synthetic.simulate import simulate_registers
from evaluation.registers.synthetic.truth import HORIZONS_DAYS, RESTRICTED_DAYS

REPORTS = Path(__file__).parents[1] / "reports"
COMMITTED = sorted(REPORTS.glob("*/plan.toml"))
VALUES = {file.parent.name: tomllib.loads(file.read_text(encoding="utf-8")) for file in COMMITTED}
AGENCY, BENEFIT, MALMO = "employment-agency", "unemployment-benefit", "malmokraften"
SECRET = "19800101-1234"


def changed(study: str, *changes: tuple[str, Any]) -> dict[str, Any]:
    """Give a committed plan's values with keys set, ("matching.ratio", 2), or taken out, ("data.file", None)."""
    values = copy.deepcopy(VALUES[study])
    for path, value in changes:
        *sections, key = path.split(".")
        section = values
        for name in sections:
            section = section.setdefault(name, {})
        if value is None:
            del section[key]
        else:
            section[key] = value
    return values


def problems(*changes: tuple[str, Any], study: str = AGENCY) -> list[str]:
    with pytest.raises(PlanError, match=r"^plan \(\d+ problems?\):") as caught:
        read_plan(changed(study, *changes))
    return [line.split(". ", 1)[1] for line in str(caught.value).splitlines()[1:]]


@pytest.mark.parametrize("file", COMMITTED, ids=lambda file: file.parent.name)
def test_a_committed_plan_loads_by_its_file_and_by_its_folder(file: Path) -> None:
    plan = load_plan(file)
    assert plan == load_plan(str(file.parent))
    assert plan.name == file.parent.name
    assert plan.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert plan.primary_days in plan.effect_spec().horizons_days


def test_a_section_for_registers_makes_a_plan_of_registers() -> None:
    assert {name: type(load_plan(REPORTS / name)) for name in VALUES} == {AGENCY: TablePlan, BENEFIT: TablePlan, MALMO: RegisterPlan}


def test_the_data_lie_beside_the_plan() -> None:
    assert load_plan(REPORTS / AGENCY).data_file == REPORTS / AGENCY / "data" / "unemployment.csv"
    assert load_plan(REPORTS / MALMO).data_folder == REPORTS / MALMO / "data"


@pytest.mark.hand
def test_times_are_asked_for_in_days() -> None:
    spec = read_plan(VALUES[BENEFIT]).effect_spec()
    assert spec.horizons_days == (2 * 14, 6 * 14, 10 * 14, 196, 20 * 14)
    assert spec.rmst_days == 196
    assert read_plan(VALUES[AGENCY]).effect_spec().horizons_days == (13 * 7, 26 * 7, 39 * 7, 52 * 7)


@pytest.mark.hand
@pytest.mark.parametrize(("unit", "days"), [("day", 1), ("week", 7), ("two_weeks", 14), ("month", 365.25 / 12), ("year", 365.25)])
def test_every_unit_has_its_length(unit: str, days: float) -> None:
    plan = read_plan(changed(AGENCY, ("outcome.unit", unit)))
    assert plan.unit.days == days
    assert plan.primary_days == 26 * days


@pytest.mark.hand
def test_what_is_left_out_is_the_last_horizon() -> None:
    plan = read_plan(changed(AGENCY, ("effects.primary", None), ("effects.restricted_mean", None)))
    assert (plan.primary_days, plan.effect_spec().rmst_days) == (52 * 7, 52 * 7)


def test_sections_left_out_have_their_defaults() -> None:
    plan = read_plan(changed(AGENCY, *((section, None) for section in ("matching", "limits", "subgroups", "disclosure", "strict"))))
    assert (plan.matching, plan.limits, plan.subgroups.registered) == (MatchingSpec(), DesignLimits(), ())
    assert (plan.disclosure.threshold, plan.strict) == (10, False)


def test_a_plan_cannot_be_changed_once_read() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        read_plan(VALUES[AGENCY]).strict = True


def test_the_outcome_columns_are_known_beforehand() -> None:
    assert read_plan(VALUES[AGENCY]).outcome.columns == ("duration", "spell")
    assert read_plan(VALUES[BENEFIT]).outcome.columns == ("spell", "censor1", "censor2", "censor3")


MISSPELT = [
    ("stricct", "strict"),
    ("matchng", "matching"),
    ("cohort.treatd", "treated"),
    ("data.schema", "table_schema"),
    ("matching.calliper_sd", "caliper_sd"),
    ("propensity.formla", "formula"),
    ("limits.worst_smdd", "worst_smd"),
    ("effects.horizon", "horizons"),
    ("wording.title.enn", "en"),
    ("data.source.svv", "sv"),
    ("outcome.labels.full_time.see", "sv"),
]


@pytest.mark.parametrize(("path", "nearest"), MISSPELT)
def test_a_misspelt_key_is_answered_with_the_nearest_valid_one(path: str, nearest: str) -> None:
    assert problems((path, "x"), study=BENEFIT) == [f"{path}: is not a key of the plan; did you mean {nearest}?"]


def test_no_key_is_proposed_that_cannot_be_set() -> None:
    assert "did you mean folder" not in problems(("foldr", "x"))[0]


def test_a_misspelt_key_in_a_list_is_told_with_its_place() -> None:
    limitation = {"sv": "a", "en": "b", "enn": "c"}
    told = problems(("wording.limitations", [{"sv": "a", "en": "b"}, limitation]))
    assert told == ["wording.limitations.1.enn: is not a key of the plan; did you mean en?"]


def test_all_problems_are_told_at_once() -> None:
    told = problems(("stricct", True), ("data.file", None), ("matching.ratio", "two"), ("wording.title.enn", "x"), ("limits.worst_smd", -1))
    assert {line.partition(":")[0] for line in told} == {"stricct", "data.file", "matching.ratio", "wording.title.enn", "limits.worst_smd"}


REQUIRED = ["wording", "data", "cohort", "outcome", "effects", "data.file", "cohort.treated", "wording.title.en", "effects.horizons"]


@pytest.mark.parametrize("path", REQUIRED)
def test_what_must_be_given_is_named(path: str) -> None:
    assert problems((path, None)) == [f"{path}: must be given"]


WRONG = [
    ("strict", "maybe"),
    ("matching", "nearest"),
    ("matching.ratio", 1.5),
    ("matching.order", "alphabetical"),
    ("cohort.covariates", "sex"),
    ("cohort.covariates", []),
    ("cohort.treated_value", 1.5),
    ("cohort.missing", "drop"),
    ("outcome.unit", "weeks"),
    ("outcome.zero_duration", 0),
    ("effects.level", 95),
    ("disclosure.threshold", -1),
    ("subgroups.registered", [3]),
    ("wording.title", "only one language"),
]


@pytest.mark.parametrize(("path", "value"), WRONG, ids=[f"{path}={value}" for path, value in WRONG])
def test_a_wrong_value_is_one_problem_at_its_key(path: str, value: object) -> None:
    told = problems((path, value))
    assert [line.partition(":")[0] for line in told] in ([path], [f"{path}.0"])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("effects.primary", 27), "effects: `primary` must be one of `horizons`"),
        (("outcome.states", {"work": "spell"}), "outcome: give either `event` or `states`, not both"),
        (("outcome.event", None), "outcome: give either `event` or `states`, not both"),
        (("subgroups.exploratory", ["sex"]), "subgroups: a breakdown may stand once, registered or exploratory"),
        (
            ("cohort.covariates", ["sex", "duration"]),
            "plan: the design must not use an outcome; take duration out of the covariates, strata, exact columns and subgroups",
        ),
        (
            ("cohort.strata", ["pubemp"]),
            "plan: the design must not use pubemp, which says who is treated, as a characteristic; take it out",
        ),
        (("matching.order", "random"), "matching: order = 'random' needs a seed, so that the match can be made again"),
    ],
)
def test_keys_that_contradict_each_other_are_told(change: tuple[str, Any], sentence: str) -> None:
    assert problems(change) == [sentence]


@pytest.mark.parametrize(
    ("path", "value"),
    [("effects.horizons", [52, 26]), ("effects.horizons", [0, 26]), ("effects.restricted_mean", -1), ("data.package", "Unemployment")],
)
def test_what_could_never_be_done_is_refused_before_any_data_are_read(path: str, value: object) -> None:
    with pytest.raises(PlanError, match=path.rpartition(".")[2]):
        read_plan(changed(AGENCY, (path, value)))


@pytest.mark.parametrize("key", ["folder", "sha256"])
def test_what_the_toolkit_fills_in_cannot_be_set(key: str) -> None:
    with pytest.raises(PlanError, match=f"^plan: {key} cannot be set in a plan; take it out"):
        read_plan(changed(AGENCY, (key, "x")))


def leaves(values: dict[str, Any], path: str = "") -> Iterator[str]:
    for key, value in values.items():
        yield from leaves(value, f"{path}{key}.") if isinstance(value, dict) else [f"{path}{key}"]


@pytest.mark.property
@pytest.mark.parametrize("path", [*leaves(VALUES[AGENCY])])
def test_no_message_tells_a_value(path: str) -> None:
    for wrong in (SECRET, [SECRET], [[SECRET]], {"sv": SECRET, "key": SECRET}):
        assert SECRET not in "".join(problems((path, wrong), ("stricct", SECRET)))


NOT_TOML = {
    "no value": b"strict =",
    "a date that is none": f"a = {SECRET}".encode(),
    "not UTF-8": 'title = "å"'.encode("latin-1"),
    "a key twice": b"a = 1\na = 2",
}


@pytest.mark.parametrize("content", NOT_TOML.values(), ids=NOT_TOML)
def test_a_file_that_is_not_toml_is_refused_by_name(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "plan.toml").write_bytes(content)
    with pytest.raises(PlanError, match=r"plan .*plan\.toml: is not valid TOML") as caught:
        load_plan(tmp_path)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("path", ["nowhere", "plan.toml", "."])
def test_an_absent_plan_is_named_with_what_to_give(path: str, tmp_path: Path) -> None:
    with pytest.raises(PlanError, match=r"plan: there is no file .*; give the plan, or the folder that holds plan\.toml"):
        load_plan(tmp_path / path)


def test_a_plan_on_disk_names_its_file_in_the_error(tmp_path: Path) -> None:
    (tmp_path / "plan.toml").write_text("stricct = true\n" + COMMITTED[0].read_text(encoding="utf-8"), encoding="utf-8")
    with pytest.raises(PlanError, match=r"plan\.toml \(1 problem\):\n  1\. stricct: is not a key of the plan; did you mean strict\?"):
        load_plan(tmp_path)


# --- plans of registers


@pytest.mark.hand
def test_months_become_the_days_the_synthetic_truth_is_counted_in() -> None:
    plan = read_plan(VALUES[MALMO])
    spec = plan.effect_spec()
    assert spec.horizons_days == HORIZONS_DAYS == (183, 365, 548, 730, 1096)
    assert (spec.rmst_days, plan.primary_days) == (RESTRICTED_DAYS, 548)


@pytest.mark.hand
def test_success_is_what_the_definition_says() -> None:
    work = ("arbete_osubventionerat", "nystartsjobb", "arbete_subventionerat", "arbete_lonebidrag", "eget_foretagande")
    assert read_plan(VALUES[MALMO]).effect_spec().success == (*work, "studier_reguljara")
    assert read_plan(changed(MALMO, ("outcome.definition", "strict"))).effect_spec().success == work[:1]


def test_the_other_definitions_differ_in_nothing_else() -> None:
    plan = read_plan(changed(MALMO, ("outcome.sick_days", 14)))
    assert plan.other_outcomes == tuple(OutcomeSpec(definition=name, sick_days=14) for name in ("strict", "studies", "independent"))


def test_states_and_sources_have_words_in_both_languages() -> None:
    plan = read_plan(VALUES[MALMO])
    assert [plan.state_label("nystartsjobb", language) for language in ("sv", "en")] == ["nystartsjobb", "new start job"]
    assert [plan.state_label("arbete", language) for language in ("sv", "en")] == ["arbete", "work"]
    assert plan.state_label("of their own", "en") == "of their own"
    assert plan.source("en").startswith("Registers of the employment service")
    table = read_plan(VALUES[BENEFIT])
    assert [table.state_label("full_time", "en"), table.state_label("unnamed", "sv")] == ["full-time job", "unnamed"]
    assert table.source("sv").startswith("McCall")


@pytest.mark.parametrize("matching", [None, {"ratio": 2}], ids=["left out", "without exact"])
def test_a_match_is_exact_on_month_and_time_waited_unless_the_plan_says_otherwise(matching: dict[str, int] | None) -> None:
    assert read_plan(changed(MALMO, ("matching", matching))).matching.exact == ("trial", "duration_band")
    assert read_plan(changed(MALMO, ("matching.exact", ["kon"]))).matching.exact == ("kon",)


def test_what_is_simulated_is_what_the_simulation_takes() -> None:
    taken = inspect.signature(simulate_registers).parameters
    asked = {name: parameter for name, parameter in list(taken.items())[1:] if name != "municipality"}  # which is the cohort's
    assert list(SimulationSection.model_fields) == ["participants", *asked]
    usual = {name: parameter.default for name, parameter in asked.items() if parameter.default is not inspect.Parameter.empty}
    assert SimulationSection().model_dump().items() >= usual.items()


MISSPELT_OF_REGISTERS = [
    ("registers.sourc", "source"),
    ("registers.source.svv", "sv"),
    ("registers.simulate.sed", "seed"),
    ("registers.cleaning.gap_dayz", "gap_days"),
    ("cohort.frst_month", "first_month"),
    ("cohort.look_back.window_days", "windows_days"),
    ("outcome.definiton", "definition"),
    ("matching.calliper_sd", "caliper_sd"),
    ("effects.horizon", "horizons"),
    ("subgroups.registred", "registered"),
    ("limits.worst_smdd", "worst_smd"),
    ("disclosure.treshold", "threshold"),
    ("regster", "registers"),
]


@pytest.mark.parametrize(("path", "nearest"), MISSPELT_OF_REGISTERS)
def test_a_misspelt_key_about_registers_is_answered_with_the_nearest_valid_one(path: str, nearest: str) -> None:
    assert problems((path, "x"), study=MALMO) == [f"{path}: is not a key of the plan; did you mean {nearest}?"]


def test_a_misspelt_section_of_registers_is_still_a_plan_of_registers() -> None:
    told = problems(("registrers", VALUES[MALMO]["registers"]), ("registers", None), study=MALMO)
    assert told == ["registers: must be given", "registrers: is not a key of the plan; did you mean registers?"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("cohort.covariates", ["age", "trial"]), "cohort.covariates: trial is not a covariate; "),
        (("matching.exact", ["trial", "koon"]), "matching.exact: koon is not a column of the cohort; did you mean kon?"),
        (("subgroups.registered", ["fass"]), "subgroups: fass is not a column of the cohort; did you mean fas?"),
        (("subgroups.exploratory", [["kon", "ursprung"]]), "subgroups: ursprung is not a column of the cohort; choose among trial"),
        (("cohort.covariates", ["age", "educaton"]), "cohort.covariates: educaton is not a covariate; did you mean education?"),
        (("registers.simulate.effect", "publishd"), "registers.simulate.effect: must be one of none, constant"),
        (("cohort.last_month", "2017-12"), "cohort: first_month must not lie after last_month"),
        (("cohort.first_month", None), "cohort.first_month: must be given"),
        (("registers.source", None), "registers.source: must be given"),
        (("effects.primary", 17), "effects: `primary` must be one of `horizons`"),
        (("outcome.definition", "work"), "outcome.definition: "),
    ],
)
def test_a_plan_of_registers_is_refused_for_what_could_never_be_done(change: tuple[str, Any], told: str) -> None:
    found = problems(change, study=MALMO)
    assert len(found) == 1
    assert told in found[0]


def test_all_unknown_columns_are_told_at_once() -> None:
    told = problems(("matching.exact", ["koon"]), ("subgroups.registered", ["fass"]), study=MALMO)
    assert told == [
        "plan: matching.exact: koon is not a column of the cohort; did you mean kon?; and subgroups: fass is not a column of the cohort; "
        "did you mean fas?"
    ]


def test_a_breakdown_may_be_by_a_covariate_or_a_period_of_the_plan() -> None:
    columns = ["education", "halvar", "trial"]
    plan = read_plan(changed(MALMO, ("cohort.periods.halvar", {"ett": ["2018-03", "2018-08"]}), ("subgroups.exploratory", columns)))
    assert plan.subgroups.exploratory == tuple(columns)


# --- what is still to be written


def test_the_plans_of_the_project_have_nothing_left_to_write() -> None:
    assert {study: words_to_replace(read_plan(values)) for study, values in VALUES.items()} == dict.fromkeys(VALUES, ())


@pytest.mark.parametrize(
    ("change", "left"),
    [
        (("wording.title", {"sv": "[programmet]", "en": "[the programme]: work"}), ("wording.title",)),
        (("wording.title.sv", "Effekten av [programmet]"), ("wording.title.sv",)),
        (("wording.limitations", [{"sv": "a", "en": "b"}, {"sv": "c", "en": "in [year]"}]), ("wording.limitations.1.en",)),
        (("outcome.labels.full_time.en", "[work]"), ("outcome.labels.full_time.en",)),
        (("wording.title.sv", "Effekten [1], [12] och []"), ()),  # references, and nothing
        (("wording.title.sv", "Effekten ]av[ programmet"), ()),
        (("propensity.formula", "Q[age]"), ()),  # which no report prints as a sentence
    ],
)
def test_words_in_brackets_are_told_by_their_key(change: tuple[str, Any], left: tuple[str, ...]) -> None:
    assert words_to_replace(read_plan(changed(BENEFIT, change))) == left


def test_a_source_that_is_the_same_in_both_languages_is_told_once() -> None:
    goals = {"versions": [{"goal": "1", "version": 1, "persons": 100, "source": "[källa]"}]}
    assert words_to_replace(read_plan(changed(MALMO, ("goals", goals)))) == ("goals.versions.0.source",)


def test_a_sentence_of_the_report_must_stand_in_both_languages_and_a_source_need_not() -> None:
    assert problems(("wording.title", "One for both")) != []
    goals = {"versions": [{"goal": "1", "version": 1, "persons": 100, "source": "beslut 2018-03-01"}]}
    version = read_plan(changed(MALMO, ("goals", goals))).goals.versions[0]
    assert isinstance(version.source, Text)
    assert version.source.within("sv") == version.source.within("en") == "beslut 2018-03-01"
