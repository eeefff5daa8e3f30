"""What do delivered registers say of the goals: for whom the count is made, and which versions were decided?

The counting is that of goals.py.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import replace

import pandas as pd

from evaluation.analysis.goals import SUCCESS, GoalFollowUp, GoalSpec, GoalVersion, follow_goals
from evaluation.registers.origin import classify_origin
from evaluation.registers.store import Registers


def follow_delivered_goals(registers: Registers, spec: GoalSpec) -> GoalFollowUp:
    """Follow the goals in delivered registers: by sex and origin where persons are delivered, with the goals delivered beside those of the plan.

    Parameters
    ----------
    registers : Registers
        With projekt_deltagande; individ for breakdowns and mal for goals, if they are there.
    spec : GoalSpec

    Returns
    -------
    GoalFollowUp
        Up to the last complete month.

    Raises
    ------
    InputError
        As `follow_goals`.
    """
    codes, groups = registers.contract.codes, None
    if "individ" in registers.names:
        persons = registers.frame("individ").set_index("lopnr")
        groups = classify_origin(persons, codes["fodelselandgrupp"]).assign(kon=persons["kon"])
    results = codes["projekt_resultat"].entries
    counted = tuple(results.loc[results["klass"].isin(SUCCESS), "kod"])
    found = follow_goals(registers.frame("projekt_deltagande"), spec, until=registers.complete_until, groups=groups, success=counted)
    delivered = delivered_versions(registers.frame("mal"), spec.delivered_as) if "mal" in registers.names else ()
    return replace(found, versions=_together(spec.versions, delivered))


def delivered_versions(table: pd.DataFrame, delivered_as: Mapping[str, str]) -> tuple[GoalVersion, ...]:
    """Read the table of goals, as data_schema/mal.json has it; `delivered_as` gives the phase of each mal_id, which stands for itself otherwise."""
    versions = []
    for row in table.sort_values(["mal_id", "version"]).to_dict("records"):
        known: Mapping[str, object] = {str(name): value for name, value in row.items() if pd.notna(value)}
        named = {"goal": "mal_id", "version": "version", "persons": "mal", "of": "namnare", "decided": "beslutad", "period": "period"}
        cells = {name: known[column] for name, column in named.items() if column in known}
        if isinstance(cells.get("decided"), dt.datetime):
            cells["decided"] = pd.Timestamp(str(cells["decided"])).date()
        goal = delivered_as.get(str(cells["goal"]), str(cells["goal"]))
        versions.append(GoalVersion.model_validate({**cells, "goal": goal, "source": known.get("kalla", "mal")}))
    return tuple(versions)


def _together(planned: tuple[GoalVersion, ...], delivered: tuple[GoalVersion, ...]) -> tuple[GoalVersion, ...]:
    """Put the delivered goals after the plan's, without those that say the same."""
    said = {(one.goal, one.version, one.persons, one.of) for one in planned}
    every = [*planned, *(one for one in delivered if (one.goal, one.version, one.persons, one.of) not in said)]
    return tuple(sorted(every, key=lambda one: (one.goal, one.version)))
