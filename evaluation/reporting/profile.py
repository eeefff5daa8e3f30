"""What does a delivery hold, month by month? The part of its page that is made of the profile.

Counts of whatever is about persons go through the disclosure gate.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd
from babel.dates import get_month_names

from evaluation.plan_sections import DisclosureSection
from evaluation.registers.contract import Contract
from evaluation.registers.profile import CHANGED_SHARE, LOW_SHARE, NEW_SHARE, YEAR_ROWS, Profile
from evaluation.reporting import figures
from evaluation.reporting.blocks import Block, Paragraph, Picture, Rows, Section
from evaluation.reporting.disclosure import Gate
from evaluation.reporting.figures.coverage import Coverage, CoverageWords, draw_coverage
from evaluation.reporting.tables import Table
from evaluation.reporting.wording import Voice

YEARS_SHOWN = 15  # ten years to look back and five of the project; a stray date of long ago would squeeze them together

LOWS_NAMED = 4  # more would fill the page; the figure and its tables show them all


@dataclass(frozen=True)
class Folded(Rows):
    """A table that opens when its caption is pressed."""

    folded: bool = True


@dataclass(frozen=True, eq=False)
class _Held:
    """What is told of, and in which words."""

    profile: Profile
    contract: Contract
    voice: Voice

    def table(self, name: str) -> str:
        return self.contract.tables[name].titles[self.voice.language]

    def gate(self, table: str) -> Gate:
        """Hide small counts of whatever is about persons."""
        persons = any(entry.role == "person" for entry in self.contract.tables[table].fields)
        return Gate(DisclosureSection().threshold if persons else 0)


def profile_sections(profile: Profile, contract: Contract, voice: Voice) -> Iterator[Section]:
    """Tell what the tables hold: their rows by period, which codes came and went, and where nothing is filled in."""
    held = _Held(profile, contract, voice)
    text = voice("content_text", until=f"{profile.complete_until:%Y-%m}", share=voice.percent(LOW_SHARE, 0))
    few = voice("suppression", below=DisclosureSection().threshold - 1)
    content = _content_table(held)
    yield Section("content", voice("check_content"), (Paragraph(f"{text} {few}"), Rows(content), *_coverage(held, content)), "content cards")
    yield _drift(held)
    yield _missing(held)


def _content_table(held: _Held) -> Table:
    voice, profile = held.voice, held.profile
    rows = tuple(
        (
            held.table(table["table"]),
            table["agency"],
            held.gate(table["table"]).count(table["rows"], voice.count),
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


def _coverage(held: _Held, content: Table) -> Iterator[Block]:
    """Draw the rows by period, with a table for each panel."""
    voice, coverage, until = held.voice, held.profile.coverage, held.profile.complete_until
    shown = coverage[coverage["year"].between(until.year - YEARS_SHOWN + 1, until.year + 1)]
    if shown.empty:
        yield Paragraph(voice("nothing_dated"))
        return
    dated = [(str(name), periods) for name, periods in shown.groupby("table", sort=False)]
    panels = [_panel(name, periods, held) for name, periods in dated]
    complete = until.year + until.month / 12
    last = max(complete, *(float(panel.start[-1]) + panel.length for panel in panels))
    words = CoverageWords(voice("coverage_low"), voice("coverage_few", threshold=DisclosureSection().threshold), voice("coverage_complete"))
    drawn = draw_coverage(panels, years=(float(shown["year"].min()), last), complete=complete, words=words)
    spoken = " ".join(
        voice("coverage_spoken", table=table, period=period, rows=rows, lows=lows) for table, _, rows, period, lows in content.rows if period != "–"
    )
    yield Picture(figures.svg_text(drawn, name="coverage", title=voice("coverage"), description=spoken), voice("coverage_caption"))
    yield from (Folded(_period_table(name, periods, held)) for name, periods in dated)


def _by_year(periods: pd.DataFrame) -> bool:
    return bool((periods["month"] == 0).all())


def _panel(name: str, periods: pd.DataFrame, held: _Held) -> Coverage:
    voice, gate, by_year = held.voice, held.gate(name), _by_year(periods)
    most = int(periods["rows"].max())
    at_most = voice("coverage_year", rows=voice.count(most)) if by_year else voice("coverage_month", rows=voice.count(most))
    return Coverage(
        name=held.table(name),
        scale=voice("coverage_few", threshold=gate.threshold) if gate.hides(most) else at_most,
        start=(periods["year"] + (periods["month"].clip(lower=1) - 1) / 12).to_numpy(),
        length=1.0 if by_year else 1 / 12,
        rows=periods["rows"].to_numpy(),
        low=periods["low"].to_numpy(),
        gate=gate,
    )


def _period_table(name: str, periods: pd.DataFrame, held: _Held) -> Table:
    """Lay out the rows of a table by year and month, or by year."""
    voice, gate = held.voice, held.gate(name)
    columns = {0: voice("content_rows")} if _by_year(periods) else dict(get_month_names("abbreviated", locale=voice.language))
    told = {
        (year, month): gate.count(rows, voice.count) + " ▼" * low
        for year, month, rows, low in periods[["year", "month", "rows", "low"]].itertuples(index=False)
    }
    rows = tuple((str(year), *(told.get((year, month), "") for month in columns)) for year in periods["year"].unique())
    head = (voice("year"), *columns.values())
    return Table(voice("coverage_table", table=held.table(name)), head, rows)


def _drift(held: _Held) -> Section:
    voice, drift = held.voice, held.profile.drift
    if drift.empty:
        return Section("drift", voice("check_drift"), (Paragraph(voice("drift_none", rows=voice.count(YEAR_ROWS))),))
    kinds = {"came": voice("drift_came"), "went": voice("drift_went"), "changed": voice("drift_changed")}
    rows = []
    for told in drift.to_dict("records"):
        gate = held.gate(told["table"])
        shares = [gate.share(told[rows] / told[of], told[of], voice.percent) for rows, of in (("rows_before", "of_before"), ("rows", "of"))]
        rows.append((_code(told, held), f"{told['year'] - 1}–{told['year']}", kinds[told["kind"]], *shares))
    text = voice("drift_text", new=voice.percent(NEW_SHARE, 0), changed=voice.count(round(100 * CHANGED_SHARE)), rows=voice.count(YEAR_ROWS))
    head = (voice("drift_code"), voice("drift_years"), voice("drift_what"), voice("drift_before"), voice("drift_after"))
    return Section("drift", voice("check_drift"), (Paragraph(text), Rows(Table(voice("drift_caption"), head, tuple(rows)))))


def _code(told: dict[Hashable, Any], held: _Held) -> str:
    """Name a code: its table, its column, and what it last meant in the two years."""
    schema, language = held.contract.tables[told["table"]], held.voice.language
    where, code = f"{told['table']}.{told['column']}", told["code"]
    codelist = next(entry.codelist for entry in schema.fields if entry.name == told["column"])
    if codelist is None:
        return f"{where} {code} {schema.level(told['column'], code, language)}"
    entries = held.contract.codes[codelist].entries
    meant = entries[
        (entries["kod"] == code) & (entries["giltig_fran"] <= f"{told['year']}-12-31") & (entries["giltig_till"] >= f"{told['year'] - 1}-01-01")
    ]
    return " ".join([f"{where} {code}", *meant["benamning_sv" if language == "sv" else "label_en"].tail(1)])


def _missing(held: _Held) -> Section:
    voice, missing = held.voice, held.profile.missing
    lacking = missing[missing["rows"] > 0]
    if lacking.empty:
        return Section("missing", voice("check_missing"), (Paragraph(voice("missing_none")),))
    rows = tuple(
        (f"{told['table']}.{told['column']}", held.gate(told["table"]).share(told["rows"] / told["of"], told["of"], voice.percent))
        for told in lacking.to_dict("records")
    )
    table = Table(voice("missing_caption"), (voice("column"), voice("missing_share")), rows)
    return Section("missing", voice("check_missing"), (Paragraph(voice("missing_text")), Folded(table)))
