"""May the delivery be used, what was found in it, and what does it hold? One page to read, and to mail to whoever delivered.

The verdict stands first. What was found is grouped by delivering agency, each with what to do about it; then what cleaning did, and what the tables
hold. The page names tables, columns, rules, counts and row numbers; counts of what the tables hold go through the disclosure gate.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import pandas as pd

from evaluation.analysis.outcomes import TimeUnit
from evaluation.plan_sections import Language
from evaluation.registers.contract import Contract, load_contract
from evaluation.registers.findings import Finding, Findings
from evaluation.registers.profile import Profile
from evaluation.registers.store import Registers
from evaluation.reporting.blocks import Block, Page, Paragraph, Rows, Section
from evaluation.reporting.profile import profile_sections
from evaluation.reporting.report import render_page, write_page
from evaluation.reporting.tables import Table
from evaluation.reporting.wording import Voice, sentence_case

SMALLEST_SHARE = 0.001


@dataclass(frozen=True, eq=False)
class _Delivery:
    """What the page is made of, and the words for it."""

    findings: Findings
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
    delivery = _Delivery(findings, profile, audit, contract, Voice(language, TimeUnit.MONTH))
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


def _content(delivery: _Delivery) -> Iterable[Section]:
    voice = delivery.voice
    if delivery.stopped or delivery.profile is None:
        said = voice("content_stopped" if delivery.stopped else "content_not_run")
        return [Section("content", voice("check_content"), (Paragraph(said),))]
    return profile_sections(delivery.profile, delivery.contract, voice)


def _versions(delivery: _Delivery) -> Section:
    voice = delivery.voice
    rows = (
        (voice("contract_version"), delivery.contract.version),
        (voice("toolkit"), f"malmokraften-evaluation {version('malmokraften-evaluation')}"),
        (voice("check_made"), dt.date.today().isoformat()),
    )
    table = Table(voice("versions_caption"), (voice("item"), voice("version")), rows)
    return Section("versions", voice("check_about"), (Rows(table),), "sources")
