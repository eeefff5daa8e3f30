"""Which faults of the real register are planted, and how many?

The employment service never deletes or corrects an entry, types in only the start days, and uses codes again. Each fault here is one that cleaning
mends without loss: the states of the soiled registers, once cleaned, are those of the clean ones. No registration gets two faults, so each fault is
counted by the one rule it is meant for. None breaks a rule that stops the run.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaluation.registers.synthetic.records import Tables
from evaluation.registers.synthetic.spells import DAY, END

LATEST_DAYS = 40  # a late deregistration or an overlap reaches at most so far
LONGEST_GAP_DAYS = 25  # within the 30 days that are bridged
TECHNICAL = np.array(["95", "96", "97", "98"])
PLUS_JOB, ITS_CODE_IN_CLEAN_DATA = "51", "49"  # in 2006 the code of today's extra service job meant another subsidised job
IN_2006 = (np.datetime64("2006-01-01"), np.datetime64("2006-12-31"))
UNEXPLAINED = "6"
LONG_DAYS = 120  # shortest category that is cut in two

Rows = pd.DataFrame
Soiled = tuple[Rows, Rows, int]
Fault = Callable[[Rows, Rows, pd.Index, np.random.Generator], Soiled]


def soil(tables: Tables, share: float, rng: np.random.Generator) -> tuple[Tables, dict[str, int]]:
    """Plant each fault in a share of the records it can befall.

    Parameters
    ----------
    tables : dict of str to DataFrame
    share : float
        From 0 to 0.2; nothing is planted at 0.
    rng : Generator

    Returns
    -------
    tables : dict of str to DataFrame
        With other `inskrivning` and `sokandekategori`.
    planted : dict of str to int
        By the key of the audit's rule.
    """
    if share == 0:
        return tables, {}
    registrations, categories = tables["inskrivning"], tables["sokandekategori"]
    # every registration is offered to one fault, and befallen with the probability asked for
    faults = _faults(tables["projekt_deltagande"].set_index("lopnr")["start_datum"])
    key = pd.MultiIndex.from_frame(registrations[["lopnr", "inskr_id"]])
    turn = pd.Series(np.where(rng.random(len(key)) < share * len(faults), rng.integers(0, len(faults), len(key)), -1), index=key)
    planted = {}
    for number, (rule, fault) in enumerate(faults.items()):
        chosen = turn.index[turn == number]
        registrations, categories, planted[rule] = fault(registrations, categories, chosen, rng)
    order = categories.assign(place=np.arange(len(categories))).sort_values(["lopnr", "inskr_id", "period_nr"], kind="stable")
    order["period_nr"] = order.groupby(["lopnr", "inskr_id"]).cumcount() + 1
    categories = order.sort_values("place").drop(columns="place").reset_index(drop=True)
    return _duplicated(tables | {"inskrivning": registrations, "sokandekategori": categories}, share, rng, planted)


def _chosen(rows: Rows, registrations: pd.Index) -> NDArray[np.bool_]:
    return pd.MultiIndex.from_frame(rows[["lopnr", "inskr_id"]]).isin(registrations)


def _first_of_each(rows: Rows) -> Rows:
    return rows.drop_duplicates(["lopnr", "inskr_id"])


def _negative(registrations: Rows, categories: Rows, chosen: pd.Index, rng: np.random.Generator) -> Soiled:
    """Add an entry that ends before it begins."""
    source = _first_of_each(categories[_chosen(categories, chosen)])
    back = rng.integers(1, LATEST_DAYS, len(source)) * DAY
    wrong = source.assign(slut=source["start"] - back, skat="11", period_nr=source["period_nr"] + 0.5)
    return registrations, pd.concat([categories, wrong], ignore_index=True), len(wrong)


def _empty(registrations: Rows, categories: Rows, chosen: pd.Index, rng: np.random.Generator) -> Soiled:
    """Add an entry that ends on the day it begins, within another."""
    source = categories[_chosen(categories, chosen) & (_days(categories) >= LONG_DAYS)]
    source = _first_of_each(source)
    day = source["start"] + rng.integers(10, LONG_DAYS // 2, len(source)) * DAY
    wrong = source.assign(start=day, slut=day, skat="11", period_nr=source["period_nr"] + 0.5)
    return registrations, pd.concat([categories, wrong], ignore_index=True), len(wrong)


def _same_start(registrations: Rows, categories: Rows, chosen: pd.Index, rng: np.random.Generator) -> Soiled:
    """Add an entry that was replaced on the day it was made: the later one stands."""
    source = _first_of_each(categories[_chosen(categories, chosen)])
    stop = source["start"] + rng.integers(5, LATEST_DAYS, len(source)) * DAY
    wrong = source.assign(slut=stop, skat="14", period_nr=source["period_nr"] - 0.5)
    return registrations, pd.concat([categories, wrong], ignore_index=True), len(wrong)


def _overlap(registrations: Rows, categories: Rows, chosen: pd.Index, rng: np.random.Generator) -> Soiled:
    """Let an entry run on after the next has begun."""
    last = ~categories.duplicated(["lopnr", "inskr_id"], keep="last")
    rows = _first_of_each(categories[_chosen(categories, chosen) & ~last]).index
    categories = categories.copy()
    categories.loc[rows, "slut"] += rng.integers(1, LATEST_DAYS, len(rows)) * DAY
    return registrations, categories, len(rows)


def _late(registrations: Rows, categories: Rows, chosen: pd.Index, rng: np.random.Generator) -> Soiled:
    """Deregister after the last category has closed."""
    following = registrations.groupby("lopnr")["inskriven_datum"].shift(-1).fillna(END)
    later = registrations["avaktualiserad_datum"] + rng.integers(1, LATEST_DAYS, len(registrations)) * DAY
    rows = _chosen(registrations, chosen) & (later < following) & (registrations["avaktualiseringsorsak"] != "7")
    registrations = registrations.assign(avaktualiserad_datum=registrations["avaktualiserad_datum"].mask(rows, later))
    return registrations, categories, int(rows.sum())


def _technical(registrations: Rows, categories: Rows, chosen: pd.Index, rng: np.random.Generator) -> Soiled:
    """Let the end of an open unemployment stand under a technical code."""
    source = _first_of_each(categories[_chosen(categories, chosen) & (categories["skat"] == "11") & (_days(categories) >= LONG_DAYS)])
    source = source[source["start"] >= np.datetime64("2016-01-01")]
    middle = source["start"] + rng.integers(10, LONG_DAYS // 2, len(source)) * DAY
    tail = source.assign(start=middle, skat=rng.choice(TECHNICAL, len(source)), period_nr=source["period_nr"] + 0.5)
    categories = categories.copy()
    categories.loc[source.index, "slut"] = middle
    return registrations, pd.concat([categories, tail], ignore_index=True), len(tail)


def _reused(registrations: Rows, categories: Rows, chosen: pd.Index, rng: np.random.Generator) -> Soiled:  # noqa: ARG001 (as every fault)
    """Write a subsidised job of 2006 under the code that has meant something else since."""
    rows = _chosen(categories, chosen) & (categories["skat"] == ITS_CODE_IN_CLEAN_DATA) & categories["start"].between(*IN_2006)
    return registrations, categories.assign(skat=categories["skat"].mask(rows, PLUS_JOB)), int(rows.sum())


def _gap(registrations: Rows, categories: Rows, chosen: pd.Index, rng: np.random.Generator, *, starts: pd.Series) -> Soiled:
    """Deregister somebody for a reason unknown, and register them again within a month, unless they start in the project meanwhile."""
    source = _first_of_each(categories[_chosen(categories, chosen) & (_days(categories) >= LONG_DAYS)])
    left = source["start"] + rng.integers(30, LONG_DAYS // 2, len(source)) * DAY
    back = left + rng.integers(1, LONGEST_GAP_DAYS, len(source)) * DAY
    start = source["lopnr"].map(starts)
    kept = ~((left < start) & (start < back))  # nobody starts without a registration
    cut = source.assign(left=left, back=back, again=source["inskr_id"] + "b")[kept].set_index(["lopnr", "inskr_id"])[["left", "back", "again"]]

    old = registrations.join(cut, on=["lopnr", "inskr_id"])
    split = old["left"].notna()
    second = old[split].assign(inskr_id=old["again"], inskriven_datum=old["back"])
    first = old.assign(
        avaktualiserad_datum=old["avaktualiserad_datum"].mask(split, old["left"]),
        avaktualiseringsorsak=old["avaktualiseringsorsak"].mask(split, UNEXPLAINED),
    )
    columns = list(registrations.columns)
    # beside each other, so that the order of a person's registrations stays the order of their days
    registrations = pd.concat([first[columns], second[columns]]).sort_index(kind="stable", ignore_index=True)

    spells = categories.join(cut, on=["lopnr", "inskr_id"])
    within = (spells["start"] < spells["left"]) & (spells["slut"].isna() | (spells["slut"] > spells["back"]))
    tail = spells[within].assign(start=spells["back"], inskr_id=spells["again"])
    spells["inskr_id"] = spells["inskr_id"].mask(spells["start"] >= spells["left"], spells["again"])
    spells["slut"] = spells["slut"].mask(within, spells["left"])
    return registrations, pd.concat([spells, tail], ignore_index=True)[list(categories.columns)], int(split.sum())


def _days(categories: Rows) -> pd.Series:
    return (categories["slut"].fillna(END) - categories["start"]).dt.days


def _duplicated(tables: Tables, share: float, rng: np.random.Generator, planted: dict[str, int]) -> tuple[Tables, dict[str, int]]:
    soiled, count = dict(tables), 0
    for name in ("inskrivning", "sokandekategori"):
        twice = rng.random(len(tables[name])) < share
        soiled[name] = tables[name].iloc[np.repeat(np.arange(len(twice)), 1 + twice)].reset_index(drop=True)
        count += int(twice.sum())
    return soiled, {"exact_duplicate": count, **planted}


def _faults(starts: pd.Series) -> dict[str, Fault]:
    """Give the fault that each rule of the audit should find; `starts` are the first days in the project, by person."""
    return {
        "negative": _negative,
        "zero_length": _empty,
        "same_start": _same_start,
        "overlap": _overlap,
        "late_deregistration": _late,
        "gap": partial(_gap, starts=starts),
        "technical_code": _technical,
        "reused_code": _reused,
    }
