"""May the delivery be used, what was found in it, and what does it hold? One page to read, and to mail to whoever delivered.

The verdict stands first. What was found is grouped by delivering agency, each with what to do about it; then what cleaning did, and what the tables
hold. The page names tables, columns, rules, counts and row numbers; counts of what the tables hold go through the disclosure gate.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
from babel.dates import get_month_names

from evaluation.analysis.outcomes import TimeUnit
from evaluation.plan_sections import DisclosureSection, Language
from evaluation.registers.contract import Contract, load_contract
from evaluation.registers.findings import Finding, Findings
from evaluation.registers.profile import CHANGED_SHARE, LOW_SHARE, NEW_SHARE, YEAR_ROWS, Profile
from evaluation.registers.store import Registers
from evaluation.reporting import figures
from evaluation.reporting.blocks import Block, Page, Paragraph, Picture, Rows, Section
from evaluation.reporting.disclosure import Gate
from evaluation.reporting.figures.coverage import Coverage, CoverageWords, draw_coverage
from evaluation.reporting.report import render_page, write_page
from evaluation.reporting.tables import Table
from evaluation.reporting.wording import Voice, sentence_case

YEARS_SHOWN = 15  # ten years to look back and five of the project; a stray date of long ago would squeeze them together
LOWS_NAMED = 4  # more would fill the page; the figure and its tables show them all
SMALLEST_SHARE = 0.001


@dataclass(frozen=True)
class Folded(Rows):
    """A table that opens when its caption is pressed."""

    folded: bool = True


@dataclass(frozen=True, eq=False)
class _Delivery:
    """What the page is made of, and the words for it."""

    findings: Findings
    registers: Registers | None
    profile: Profile | None
    audit: pd.DataFrame | None
    contract: Contract
    voice: Voice

    @property
    def stopped(self) -> bool:
        return bool(self.findings.of("error"))

    def table(self, name: str) -> str:
        schema = self.contract.tables.get(name)
        return schema.titles[self.voice.language] if schema else name

    def gate(self, table: str) -> Gate:
        """Hide small counts of whatever is about persons."""
        persons = any(entry.role == "person" for entry in self.contract.tables[table].fields)
        return Gate(DisclosureSection().threshold if persons else 0)


def write_check(
    folder: str | Path,
    *,
    findings: Findings,
    registers: Registers | None,
    profile: Profile | None,
    audit: pd.DataFrame | None,
    synthetic: bool | None = None,
    language: Language = "sv",
    linked: bool = False,
) -> Path:
    """Write what the check of a delivery found, as one page whole in itself.

    Parameters
    ----------
    folder : str or Path
        Made if absent.
    findings : Findings
    registers : Registers or None
        None where the delivery could not be read.
    profile : Profile or None
        What the tables hold; None where it was not counted.
    audit : DataFrame or None
        What cleaning did: table, rule, rows_before, removed, changed, rows_after; None where it has not been run.
    synthetic : bool or None
        Where the delivery was stopped: whether it says that its records are invented; None if it could not say.
    language : {"sv", "en"}
    linked : bool
        Whether the other language's page will stand beside it, for a link.

    Returns
    -------
    Path
        The written file, `check.<language>.html`. An older one is replaced only once the new one is whole.
    """
    contract = registers.contract if registers else load_contract()
    delivery = _Delivery(findings, registers, profile, audit, contract, Voice(language, TimeUnit.MONTH))
    invented = registers.synthetic if registers else synthetic
    return write_page(folder, f"check.{language}.html", render_page("check.html.j2", _compose(delivery, invented, linked=linked)))


def _compose(delivery: _Delivery, synthetic: bool | None, *, linked: bool) -> Page:
    voice = delivery.voice
    other: Language = "en" if voice.language == "sv" else "sv"
    mark = voice("synthetic_unknown") if synthetic is None else voice("synthetic") if synthetic else ""
    return Page(
        language=voice.language,
        version=version("malmokraften-evaluation"),
        mark=mark,
        kind=voice("check_of"),
        title=voice("check_title"),
        question=voice("check_question"),
        skip=voice("skip"),
        other_file=f"check.{other}.html" if linked else "",
        other_language=other,
        other_label=voice("other_language"),
        sections=(_verdict(delivery), *_found(delivery), _cleaning(delivery), *_content(delivery), _versions(delivery)),
    )


def _verdict(delivery: _Delivery) -> Section:
    voice, findings = delivery.voice, delivery.findings
    errors, warnings, notes = (len(findings.of(severity)) for severity in ("error", "warning", "note"))
    lead = voice("check_stops", errors=voice.count(errors)) if errors else voice("check_passes")
    besides = voice("check_besides", warnings=voice.count(warnings), notes=voice.count(notes)) if findings.items else voice("check_clean")
    blocks: list[Block] = [Paragraph(lead, "lead"), Paragraph(besides)]
    if findings.items:
        head = (voice("agency"), voice("errors"), voice("warnings"), voice("notes"))
        counts = [
            (name or voice("check_whole"), *(voice.count(sum(item.severity == kind for item in items)) for kind in ("error", "warning", "note")))
            for name, items in _by_agency(delivery).items()
        ]
        blocks.append(Rows(Table(voice("check_by_agency"), head, tuple(counts))))
    blocks.append(Paragraph(voice("check_private")))
    return Section("answer", voice("check_verdict"), tuple(blocks), "answer unsupported" if errors else "answer")


def _by_agency(delivery: _Delivery) -> dict[str, list[Finding]]:
    """Give the findings of each agency, in the contract's order; "" for files of no table."""
    tables = delivery.contract.tables
    found: dict[str, list[Finding]] = {agency: [] for agency in (*(schema.agency for schema in tables.values()), "")}
    for item in delivery.findings.items:
        found[tables[item.table].agency if item.table in tables else ""].append(item)
    return {agency: items for agency, items in found.items() if items}


def _found(delivery: _Delivery) -> Iterator[Section]:
    voice = delivery.voice
    for number, (agency, items) in enumerate(_by_agency(delivery).items(), start=1):
        caption = voice("finding_caption", agency=agency) if agency else voice("finding_files")
        yield Section(f"found-{number}", agency or voice("check_whole"), (Rows(_finding_table(caption, items, voice)),), "findings cards")


def _finding_table(caption: str, items: list[Finding], voice: Voice) -> Table:
    """Show one line per finding; places where the same rule is broken as a whole share theirs."""
    kinds = {"error": voice("finding_error"), "warning": voice("finding_warning"), "note": voice("finding_note")}
    lines: dict[tuple[str, ...], list[str]] = {}
    for number, item in enumerate(items):
        said = (kinds[item.severity], *(sentence_case(text) for text in (item.rule(voice.language), item.remedy(voice.language))))
        own = "" if item.rows is None else str(number)
        lines.setdefault((own, _rows_told(item, voice), *said), []).append(f"{item.table}.{item.column}" if item.column else item.table)
    rows = tuple((", ".join(places), kind, rule, told, remedy) for (_, told, kind, rule, remedy), places in lines.items())
    head = (voice("finding_where"), voice("finding_kind"), voice("finding_rule"), voice("finding_rows"), voice("finding_remedy"))
    return Table(caption, head, rows, tuple("bad" if row[1] == kinds["error"] else "" for row in rows))


def _rows_told(item: Finding, voice: Voice) -> str:
    """Say how many rows, how large a share, and the first of them as they are numbered in the file."""
    if item.rows is None:
        return "–"
    told = voice.count(item.rows)
    if item.of is not None and item.share is not None:
        share = voice("below_thousandth") if 0 < item.share < SMALLEST_SHARE else voice.percent(item.share)
        told = voice("finding_share", rows=told, of=voice.count(item.of), share=share)
    more = ", …" if len(item.first_rows) < item.rows else ""
    return f"{told}: {voice('finding_first', rows=', '.join(map(str, item.first_rows)))}{more}" if item.first_rows else told


def _cleaning(delivery: _Delivery) -> Section:
    voice, audit = delivery.voice, delivery.audit
    if delivery.stopped or audit is None or audit.empty:
        said = voice("cleaning_stopped") if delivery.stopped else voice("cleaning_not_run") if audit is None else voice("cleaning_nothing")
        return Section("cleaning", voice("check_cleaning"), (Paragraph(said),))
    tables = {delivery.table(str(name)): steps for name, steps in audit.groupby("table", sort=False)}
    touched = {name: steps for name, steps in tables.items() if steps[["removed", "changed"]].to_numpy().any()}
    blocks: list[Block] = [Paragraph(voice("cleaning_text")), *(Rows(_cleaning_table(name, steps, voice)) for name, steps in touched.items())]
    untouched = [name for name in tables if name not in touched]
    blocks += [Paragraph(voice("cleaning_untouched", tables=", ".join(untouched)))] if untouched else []
    return Section("cleaning", voice("check_cleaning"), tuple(blocks))


def _cleaning_table(caption: str, steps: pd.DataFrame, voice: Voice) -> Table:
    clauses = {
        "after_follow_up": voice("cleaned_after_follow_up"),
        "exact_duplicate": voice("cleaned_exact_duplicate"),
        "negative": voice("cleaned_negative"),
        "zero_length": voice("cleaned_zero_length"),
        "same_start": voice("cleaned_same_start"),
        "overlap": voice("cleaned_overlap"),
        "late_deregistration": voice("cleaned_late_deregistration"),
        "outlives_registration": voice("cleaned_outlives_registration"),
        "gap": voice("cleaned_gap"),
        "technical_code": voice("cleaned_technical_code"),
        "reused_code": voice("cleaned_reused_code"),
        "merged": voice("cleaned_merged"),
    }
    delivered = (voice("cleaning_delivered"), "", "", voice.count(int(steps["rows_before"].iloc[0])))
    rows = [
        (clauses.get(step["rule"], step["rule"]), *(voice.count(step[count]) for count in ("removed", "changed", "rows_after")))
        for step in steps.to_dict("records")
    ]
    head = (voice("cleaning_rule"), voice("cleaning_removed"), voice("cleaning_changed"), voice("cleaning_after"))
    return Table(caption, head, (delivered, *rows), ("strong", *("" for _ in rows)))


def _content(delivery: _Delivery) -> Iterator[Section]:
    voice, profile = delivery.voice, delivery.profile
    if delivery.stopped or profile is None:
        said = voice("content_stopped") if delivery.stopped else voice("content_not_run")
        yield Section("content", voice("check_content"), (Paragraph(said),))
        return
    text = voice("content_text", until=f"{profile.complete_until:%Y-%m}", share=voice.percent(LOW_SHARE, 0))
    few = voice("suppression", below=DisclosureSection().threshold - 1)
    content = _content_table(delivery, profile)
    blocks = (Paragraph(f"{text} {few}"), Rows(content), *_coverage(delivery, profile, content))
    yield Section("content", voice("check_content"), blocks, "content cards")
    yield _drift(delivery, profile)
    yield _missing(delivery, profile)


def _content_table(delivery: _Delivery, profile: Profile) -> Table:
    voice = delivery.voice
    rows = tuple(
        (
            delivery.table(table["table"]),
            table["agency"],
            delivery.gate(table["table"]).count(table["rows"], voice.count),
            _period(table, profile, voice),
            _lows(profile.coverage[profile.coverage["table"] == table["table"]], voice),
        )
        for table in profile.tables.to_dict("records")
    )
    head = (voice("content_table"), voice("agency"), voice("content_rows"), voice("content_period"), voice("content_lows"))
    return Table(voice("content_caption"), head, rows)


def _period(table: dict[Hashable, Any], profile: Profile, voice: Voice) -> str:
    first, last = str(table["first"]), str(table["last"])
    if not first:
        return "–"
    period = f"{first} {voice('to')} {last}"
    return voice("content_ends_early", period=period) if last < f"{profile.complete_until:%Y-%m}"[: len(last)] else period


def _lows(periods: pd.DataFrame, voice: Voice) -> str:
    """Name the sudden lows, as many as there is room for."""
    names = [_name(year, month) for year, month, low in zip(periods["year"], periods["month"], periods["low"], strict=True) if low]
    told = ", ".join(names[:LOWS_NAMED]) or "–"
    return voice("content_more", periods=told, count=voice.count(len(names))) if len(names) > LOWS_NAMED else told


def _name(year: int, month: int) -> str:
    return f"{year}-{month:02}" if month else str(year)


def _coverage(delivery: _Delivery, profile: Profile, content: Table) -> Iterator[Block]:
    """Draw the rows by period, with a table for each panel."""
    voice, until = delivery.voice, profile.complete_until
    shown = profile.coverage[profile.coverage["year"].between(until.year - YEARS_SHOWN + 1, until.year + 1)]
    if shown.empty:
        yield Paragraph(voice("nothing_dated"))
        return
    dated = [(str(name), periods) for name, periods in shown.groupby("table", sort=False)]
    panels = [_panel(name, periods, delivery) for name, periods in dated]
    complete = until.year + until.month / 12
    last = max(complete, *(float(panel.start[-1]) + panel.length for panel in panels))
    words = CoverageWords(voice("coverage_low"), voice("coverage_few", threshold=DisclosureSection().threshold), voice("coverage_complete"))
    drawn = draw_coverage(panels, years=(float(shown["year"].min()), last), complete=complete, words=words)
    spoken = " ".join(
        voice("coverage_spoken", table=table, period=period, rows=rows, lows=lows) for table, _, rows, period, lows in content.rows if period != "–"
    )
    yield Picture(figures.svg_text(drawn, name="coverage", title=voice("coverage"), description=spoken), voice("coverage_caption"))
    yield from (Folded(_period_table(name, periods, delivery)) for name, periods in dated)


def _by_year(periods: pd.DataFrame) -> bool:
    return bool((periods["month"] == 0).all())


def _panel(name: str, periods: pd.DataFrame, delivery: _Delivery) -> Coverage:
    voice, gate, by_year = delivery.voice, delivery.gate(name), _by_year(periods)
    most = int(periods["rows"].max())
    at_most = voice("coverage_year", rows=voice.count(most)) if by_year else voice("coverage_month", rows=voice.count(most))
    return Coverage(
        name=delivery.table(name),
        scale=voice("coverage_few", threshold=gate.threshold) if gate.hides(most) else at_most,
        start=(periods["year"] + (periods["month"].clip(lower=1) - 1) / 12).to_numpy(),
        length=1.0 if by_year else 1 / 12,
        rows=periods["rows"].to_numpy(),
        low=periods["low"].to_numpy(),
        gate=gate,
    )


def _period_table(name: str, periods: pd.DataFrame, delivery: _Delivery) -> Table:
    """Lay out the rows of a table by year and month, or by year."""
    voice, gate = delivery.voice, delivery.gate(name)
    columns = {0: voice("content_rows")} if _by_year(periods) else dict(get_month_names("abbreviated", locale=voice.language))
    told = {
        (year, month): gate.count(rows, voice.count) + " ▼" * low
        for year, month, rows, low in periods[["year", "month", "rows", "low"]].itertuples(index=False)
    }
    rows = tuple((str(year), *(told.get((year, month), "") for month in columns)) for year in periods["year"].unique())
    head = (voice("year"), *columns.values())
    return Table(voice("coverage_table", table=delivery.table(name)), head, rows)


def _drift(delivery: _Delivery, profile: Profile) -> Section:
    voice, drift = delivery.voice, profile.drift
    if drift.empty:
        return Section("drift", voice("check_drift"), (Paragraph(voice("drift_none", rows=voice.count(YEAR_ROWS))),))
    kinds = {"came": voice("drift_came"), "went": voice("drift_went"), "changed": voice("drift_changed")}
    rows = []
    for told in drift.to_dict("records"):
        gate = delivery.gate(told["table"])
        shares = [gate.share(told[rows] / told[of], told[of], voice.percent) for rows, of in (("rows_before", "of_before"), ("rows", "of"))]
        rows.append((_code(told, delivery), f"{told['year'] - 1}–{told['year']}", kinds[told["kind"]], *shares))
    text = voice("drift_text", new=voice.percent(NEW_SHARE, 0), changed=voice.count(round(100 * CHANGED_SHARE)), rows=voice.count(YEAR_ROWS))
    head = (voice("drift_code"), voice("drift_years"), voice("drift_what"), voice("drift_before"), voice("drift_after"))
    return Section("drift", voice("check_drift"), (Paragraph(text), Rows(Table(voice("drift_caption"), head, tuple(rows)))))


def _code(told: dict[Hashable, Any], delivery: _Delivery) -> str:
    """Name a code: its table, its column, and what it last meant in the two years."""
    schema, language = delivery.contract.tables[told["table"]], delivery.voice.language
    where, code = f"{told['table']}.{told['column']}", told["code"]
    codelist = next(entry.codelist for entry in schema.fields if entry.name == told["column"])
    if codelist is None:
        return f"{where} {code} {schema.level(told['column'], code, language)}"
    entries = delivery.contract.codes[codelist].entries
    meant = entries[
        (entries["kod"] == code) & (entries["giltig_fran"] <= f"{told['year']}-12-31") & (entries["giltig_till"] >= f"{told['year'] - 1}-01-01")
    ]
    return " ".join([f"{where} {code}", *meant["benamning_sv" if language == "sv" else "label_en"].tail(1)])


def _missing(delivery: _Delivery, profile: Profile) -> Section:
    voice = delivery.voice
    lacking = profile.missing[profile.missing["rows"] > 0]
    if lacking.empty:
        return Section("missing", voice("check_missing"), (Paragraph(voice("missing_none")),))
    rows = tuple(
        (f"{told['table']}.{told['column']}", delivery.gate(told["table"]).share(told["rows"] / told["of"], told["of"], voice.percent))
        for told in lacking.to_dict("records")
    )
    table = Table(voice("missing_caption"), (voice("column"), voice("missing_share")), rows)
    return Section("missing", voice("check_missing"), (Paragraph(voice("missing_text")), Folded(table)))


def _versions(delivery: _Delivery) -> Section:
    voice = delivery.voice
    rows = (
        (voice("contract_version"), delivery.contract.version),
        (voice("toolkit"), f"malmokraften-evaluation {version('malmokraften-evaluation')}"),
        (voice("check_made"), dt.date.today().isoformat()),
    )
    table = Table(voice("versions_caption"), (voice("item"), voice("version")), rows)
    return Section("versions", voice("check_about"), (Rows(table),), "sources")
