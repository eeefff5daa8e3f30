"""What must be borne in mind, and how was it done? Limitations, method, models and versions."""

from __future__ import annotations

import hashlib
import math
import platform
import re
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd

from evaluation.analysis.later_starts import CensoringModel
from evaluation.design.cardinality import CardinalitySpec
from evaluation.design.coarsened import CoarsenedSpec
from evaluation.design.cohort import Floats, strata_of
from evaluation.design.covariates import COVARIATES
from evaluation.design.full import FullSpec
from evaluation.design.matching import MatchingSpec
from evaluation.design.optimal import OptimalSpec
from evaluation.design.pair_rules import PairRules
from evaluation.design.subclasses import SubclassSpec
from evaluation.design.weighting import HEAVIEST, WeightingSpec, weight_report
from evaluation.plan import RegisterPlan, TablePlan
from evaluation.registers.contract import load_contract
from evaluation.release.design_numbers import (
    coefficient_pulls,
    effective_through,
    heaviest_step,
    largest_weight_through,
    log_odds_through,
    variation_step,
)
from evaluation.release.held import step_through
from evaluation.release.magnitudes import coarseness
from evaluation.reporting import flow, tables
from evaluation.reporting.blocks import Block, Items, Paragraph, Rows, Section
from evaluation.reporting.disclosure import HIDDEN
from evaluation.reporting.journey_tables import started_count
from evaluation.reporting.scene import Scene, number_as_text, once
from evaluation.reporting.tables import Table
from evaluation.reporting.wording import sentence_case
from evaluation.study import Design, Study

SMALL_STEP = 0.005  # odds ratios nearer to 1, such as those of one day more, need more decimals to be told from it
MONTHS_TERM = "log(1 + months since index date)"  # of the model of later starts
MONTH = "month"  # the calendar months in the model of later starts: dozens, and of no interest one by one
MARK_CHARACTERS = 16  # two tables in 10 to the 19th share so many; all 64 of dozens of tables might hold what looks like an identity number
FEW_ROWS = 1000  # a person has hundreds of rows in no register, so that nobody moves a number of rows in steps of this
DISPLACED = re.compile(r"undantr[äa]ng|displac", re.IGNORECASE)  # a plan that tells of displacement says more of it than holds for every study
PACKAGES = ("numpy", "pandas", "scipy", "statsmodels", "scikit-learn", "lifelines", "matplotlib")


def limitations_section(design: Design, scene: Scene) -> Section:
    """Say what the numbers do not show."""
    voice, names = scene.voice, scene.names()
    own = [text.within(voice.language) for text in design.plan.wording.limitations]
    static = [voice("limit_static", **names), voice("limit_unseen", **names)]
    of_design = static if design.cohort.trial is None else [voice("limit_risk_sets")]
    offered = [voice("limit_offered")] if isinstance(design.plan, RegisterPlan) and not scene.from_offer else []
    told = any(DISPLACED.search(f"{text.sv} {text.en}") for text in design.plan.wording.limitations)
    spillover = [] if told else [voice("limit_spillover")]
    every = *own, *of_design, *offered, *_absent(design, scene), *spillover
    return Section("limitations", voice("limitations"), (Items(every),))


def _absent(design: Design, scene: Scene) -> list[str]:
    """Say what the groups were to be made alike in and could not be, for each reason, by table."""
    voice, registers, said = scene.voice, load_contract().tables, []
    for reason, rows in design.absent.groupby("reason", sort=True):
        listed = [
            f"{registers[str(table)].titles[voice.language]}: {voice.listing([_title(str(name), scene) for name in names])}"
            for table, names in rows.groupby("table", sort=False)["covariate"]
        ]
        said.append(voice(f"absent_{reason}", listed="; ".join(listed)))
    return said


def _title(name: str, scene: Scene) -> str:
    swedish, english = COVARIATES[name].titles
    return swedish if scene.voice.language == "sv" else english


def method_section(study: Study | Design, scene: Scene) -> Section:
    """Say how the comparison was made and of what, with the models behind it."""
    design = study.design if isinstance(study, Study) else study
    voice, plan = scene.voice, design.plan
    blocks: list[Block] = [*_risk_sets(design, scene), Paragraph(_comparison(design, scene))]
    if plan.weighting is not None:
        blocks.append(Rows(weights_table(design, scene)))
    if scene.gate.threshold > 1:
        said = [voice("gate_rules", below=scene.gate.threshold - 1, base=scene.rules.base)]
        nobody = scene.between(0, 0)
        said += [voice("gate_nobody", nobody=nobody, most=scene.rules.base - 1)] if _stands_in_flow(nobody, design, scene) else []
        said += [voice("gate_ledger", threshold=voice.count(scene.gate.threshold))] if scene.telling.earlier else []
        blocks.append(Paragraph(" ".join(said)))
    if isinstance(plan, RegisterPlan):
        blocks.append(Rows(_covariate_table(design, scene)))
    if len(design.scores.coefficients):
        blocks.append(Rows(coefficient_table(design, scene)))
    if isinstance(study, Study) and study.journey is not None:
        blocks += _later_starts(study, scene)
    blocks.append(Rows(_versions_table(design, scene)))
    return Section("method", voice("method"), tuple(blocks), "sources")


def _stands_in_flow(cell: str, design: Design, scene: Scene) -> bool:
    """Say whether a cell stands in the table of steps."""
    table = flow.flow_table(design, scene) if isinstance(design.plan, RegisterPlan) else tables.flow_table(design, scene)
    return scene.rules.base > 1 and any(cell in row for row in table.rows)


def _comparison(design: Design, scene: Scene) -> str:
    """Say how the comparison was made, and how its effects and their uncertainty are computed."""
    voice, plan, spec = scene.voice, design.plan, design.plan.comparison
    said = {**scene.names(), "model": voice(_model(design)), "rules": _rules(design, scene)}
    once = voice("no_reuse" if design.cohort.trial is None else "reuse_other_months")
    match spec:
        case WeightingSpec():
            how = voice(f"method_{spec.method}", **said)
        case MatchingSpec():
            said["ratio"] = voice("ratio_one") if spec.ratio == 1 else voice("ratio_many", ratio=spec.ratio)
            reuse = voice("reuse") if spec.replace else once
            how = voice(f"method_{spec.method}", scale=voice(f"scale_{spec.distance}"), order=voice(f"order_{spec.order}"), reuse=reuse, **said)
        case OptimalSpec():
            said["ratio"] = voice("ratio_exactly_one") if spec.ratio == 1 else voice("ratio_exactly", ratio=spec.ratio)
            how = voice(f"method_{spec.method}", scale=voice(f"scale_{spec.distance}"), reuse=once, **said)
        case FullSpec():
            how = voice(f"method_{spec.method}", scale=voice(f"scale_{spec.distance}"), **said)
        case SubclassSpec():
            how = voice("method_subclasses", subclasses=voice.count(spec.subclasses), **said)
        case CardinalitySpec():
            how = voice("method_cardinality", tolerance=voice.number(spec.tolerance_sd, 2), **said)
        case CoarsenedSpec():
            how = voice("method_coarsened", **said)
    paired = not isinstance(spec, WeightingSpec | CardinalitySpec)
    clusters = voice("clusters_sets" if paired else "clusters_model" if design.comparison.weight_model is not None else "clusters_persons")
    return f"{sentence_case(how)} {voice('method_estimates', clusters=clusters, level=voice.number(100 * plan.effects.level, 0))}"


def _model(design: Design) -> str:
    """Name the message that says what the probabilities come from."""
    propensity = design.plan.propensity
    return "model_boosting" if propensity.method == "boosting" else "model_ridge" if propensity.penalty > 0 else "model_logistic"


def _rules(design: Design, scene: Scene) -> str:
    """Say what else is asked of those who are compared."""
    voice, spec, said = scene.voice, design.plan.comparison, list[str]()
    if isinstance(spec, PairRules):
        if spec.caliper_sd is not None:
            said.append(voice("caliper", sd=voice.number(spec.caliper_sd, 2)))
        listed = [voice("caliper_of", width=voice.number(width, 1), column=scene.column_within(name)) for name, width in spec.calipers.items()]
        said += [voice("within_calipers", listed=voice.listing(listed))] if listed else []
    columns = strata_of(design.cohort, spec.exact)
    said += [voice("exact", columns=voice.listing([scene.column_within(name) for name in columns]))] if columns else []
    if isinstance(spec, PairRules) and spec.antiexact:
        said.append(voice("antiexact", columns=voice.listing([scene.column_within(name) for name in spec.antiexact])))
    if isinstance(spec, WeightingSpec) and spec.trim is not None:
        said.append(voice("within_scores", low=voice.number(spec.trim[0], 2), high=voice.number(spec.trim[1], 2)))
    if isinstance(spec, WeightingSpec) and spec.cap is not None:
        said.append(voice("capped", cap=voice.number(spec.cap, 1)))
    return "".join(said)


def _risk_sets(design: Design, scene: Scene) -> list[Block]:
    """Say how the months' comparisons were made, where they were."""
    plan, voice = design.plan, scene.voice
    if design.cohort.trial is None or not isinstance(plan, RegisterPlan):
        return []
    spec = plan.cohort
    bands = [voice.count(round(days / voice.unit.days)) for days in spec.duration_bands_days]
    drawn = voice("candidates_all") if spec.candidates is None else voice("candidates_drawn", candidates=spec.candidates)
    began = voice("who_were_offered" if scene.from_offer else "who_started", **scene.names())
    text = voice(
        "method_risk_sets",
        first=voice.month(spec.first_month),
        last=voice.month(spec.last_month),
        began=began,
        bands=voice.listing(bands),
        units=voice.units(),
        drawn=drawn,
        youngest=spec.youngest,
        oldest=spec.oldest,
    )
    offered = [Paragraph(voice("from_the_offer"))] if scene.from_offer else []
    return [Paragraph(text), *offered, Paragraph(voice("method_clusters"))]


def _covariate_table(design: Design, scene: Scene) -> Table:
    """List what the groups were made alike in, and the register each is read from."""
    voice, registers = scene.voice, load_contract().tables
    tables_of = {name: registers[COVARIATES[name].table].titles[voice.language] for name in design.cohort.covariates.columns if name in COVARIATES}
    rows = tuple((scene.column(str(name)), tables_of.get(str(name), "–")) for name in design.cohort.covariates.columns)
    return Table(voice("covariates_caption"), (voice("covariate"), voice("register")), rows)


def _later_starts(study: Study, scene: Scene) -> list[Block]:
    """Show the model behind the weights of those who had not started."""
    assert study.journey is not None
    voice, censoring, comparison = scene.voice, study.journey.censoring, study.design.comparison
    largest = largest_weight_through("later starts, largest weight", censoring.largest_weight, scene.telling)
    effective = effective_through("later starts, effective number", comparison, scene.telling, value=censoring.effective_control)
    sentence = voice(
        "censoring_text",
        started=started_count(censoring, scene),
        largest=voice.number(largest, 2) if scene.rules.exact else voice("at_most", limit=voice.number(largest, 2)),
        effective=scene.few_or(effective),
    )
    if censoring.few or scene.gate.hides(censoring.started):
        return [Paragraph(sentence), *([Paragraph(voice("few_started"), "warning")] if censoring.few else [])]
    of_months = censoring.coefficients["term"].str.startswith(f"{MONTH}[")
    pulls = censoring.coefficients["std_error"].to_numpy(dtype=np.float64)  # clustered: the squares of everybody's pulls add up to its square
    table = model_table(censoring.coefficients[~of_months], pulls[~of_months], "later starts", voice("censoring_caption"), scene)
    return [Paragraph(" ".join([sentence, *_dropped(censoring, scene)])), *([Rows(table)] if table.rows else [])]


def _dropped(censoring: CensoringModel, scene: Scene) -> list[str]:
    """Say how many terms the model of later starts had to do without, by reason."""
    counts = censoring.dropped["reason"].value_counts(sort=False)
    listed = [scene.voice(f"dropped_{reason}", count=scene.voice.count(int(count))) for reason, count in counts.items()]
    return [scene.voice("dropped", listed=scene.voice.listing(listed))] if listed else []


def _versions_table(design: Design, scene: Scene) -> Table:
    voice, plan = scene.voice, design.plan
    rows = [(voice("data_source"), plan.source(voice.language))]
    if isinstance(plan, TablePlan):
        rows += [(voice("data_file"), mark) for mark in _file_mark(plan, scene)]
    else:
        rows += [_input_row(one, scene) for one in scene.inputs]
    rows.append((voice("data_rows" if design.cohort.trial is None else "cohort_rows"), scene.few_or(_rows(design, scene))))
    rows += [(voice("plan_file"), plan.sha256)] if plan.sha256 else []
    if commit := scene.code.get("commit"):
        rows.append((voice("code_commit"), voice("code_changed", commit=commit) if scene.code.get("dirty") else str(commit)))
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    rows.append((voice("toolkit"), f"malmokraften-evaluation {version('malmokraften-evaluation')}; Python {platform.python_version()}; {packages}"))
    return Table(voice("versions_caption"), (voice("item"), voice("version")), tuple(rows))


def _file_mark(plan: TablePlan, scene: Scene) -> list[str]:
    """Give the checksum of a study's one file, where it is there; it is not read again where the run has done so."""
    known = [str(one["sha256"]) for one in scene.inputs if one["of"] == "file"]
    return known or ([hashlib.sha256(plan.data_file.read_bytes()).hexdigest()] if plan.data_file.is_file() else [])


def _input_row(one: Mapping[str, Any], scene: Scene) -> tuple[str, str]:
    """Tell of a register: about how many rows, and the checksum; of a small one no checksum, for what few rows hold can be tried."""
    voice, name, rows, mark = scene.voice, str(one["table"]), float(one["rows"]), str(one["sha256"])[:MARK_CHARACTERS]
    title = load_contract().tables[name].titles[voice.language]
    if scene.rules.exact:
        return title, voice("table_mark", rows=voice.count(round(rows)), mark=mark)
    if rows < FEW_ROWS:
        return title, voice("table_small", rows=voice.count(FEW_ROWS))
    step = max(float(FEW_ROWS), 10.0 ** (math.floor(math.log10(rows)) - 1))
    told = step_through(f"input {name}, rows", rows, step, scene.telling)
    return title, voice("table_mark", rows=voice("about", number=voice.count(round(told))), mark=mark)


def _rows(design: Design, scene: Scene) -> float | None:
    """Tell how many rows the cohort has, of which one person has one, or in a stack of trials one in every month of waiting."""
    cohort = design.cohort
    if cohort.trial is None:
        return scene.telling.count("rows", len(cohort))
    most = int(np.bincount(cohort.person_code).max())
    return step_through("rows", float(len(cohort)), max(coarseness(most, scene.rules), 0.0 if scene.rules.exact else scene.rules.base), scene.telling)


def weights_table(design: Design, scene: Scene) -> Table:
    """Show how evenly the weight is spread: the extremes as a share on the heaviest hundredth, never a person's own weight."""
    voice, rows = scene.voice, []
    comparison, telling = design.comparison, scene.telling
    for record in weight_report(comparison).to_dict("records"):
        arm, weights = str(record["arm"]), comparison.person_weights(treated=record["arm"] == "treated")
        people = telling.count(f"weights, {arm}", record["n"]) if scene.released is None else scene.passed.people(arm)
        effective = effective_through(f"plan, effective number, {arm}", comparison, telling, treated=arm == "treated")
        variation = step_through(f"weights, variation, {arm}", record["variation"], variation_step(weights, telling.rules), telling)
        heaviest = step_through(f"weights, heaviest, {arm}", record["heaviest_share"], heaviest_step(weights, telling.rules), telling)
        share = HIDDEN if scene.gate.hides(record["n"] / HEAVIEST) else voice.percent_sign(heaviest, 1)
        group = scene.treated if arm == "treated" else scene.control
        rows.append((group, scene.few_or(people), scene.few_or(effective), voice.number(variation, 2), share))
    head = (voice("group"), voice("number_of_people"), voice("effective_people"), voice("weight_variation"), voice("heaviest_share"))
    return Table(voice("weights_caption"), head, tuple(rows))


def coefficient_table(design: Design, scene: Scene) -> Table:
    """Show the participation model."""
    pulls = once(design, "pulls", lambda: coefficient_pulls(design.scores, design.cohort))
    return model_table(design.scores.coefficients, pulls, "participation", scene.voice("coefficients_caption"), scene)


def model_table(coefficients: pd.DataFrame, pulls: Floats, model: str, caption: str, scene: Scene) -> Table:
    """Show a logistic model of some name; `pulls` says how far one person moves each coefficient."""
    voice, rows = scene.voice, []
    for row, pull in zip(coefficients.to_dict("records"), pulls.tolist(), strict=True):
        if row["term"] == "Intercept":
            continue
        log_odds, *ends = (math.log(row[key]) for key in ("odds_ratio", "low", "high"))
        told = log_odds_through(f"{model}, {row['term']}", log_odds, (ends[0], ends[1]), pull, scene.telling)
        odds_ratio, low, high = (math.exp(one or 0.0) for one in (told.value, told.low, told.high))
        decimals = 5 if max(abs(low - 1), abs(high - 1)) < SMALL_STEP else 3
        rows.append((_term(str(row["term"]), scene), voice.number(odds_ratio, decimals), voice.range(low, high, decimals)))
    return Table(caption, (voice("term"), voice("odds_ratio"), voice("interval")), tuple(rows))


def _term(term: str, scene: Scene) -> str:
    """Write "race[T.white]" as the column's and level's labels; formula terms stay as they are written."""
    if term == MONTHS_TERM:
        return scene.voice("term_months")
    variable, _, level = term.removesuffix("]").partition("[T.")
    return scene.covariate(variable, number_as_text(level)) if level or variable == scene.column(variable) else scene.column(variable)
