"""What does a display show of effects by group: who is in each, the effects, and how they differ?"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from evaluation.analysis.curves import ARMS
from evaluation.analysis.effects import Effects
from evaluation.analysis.estimates import Estimate
from evaluation.analysis.subgroups import EmptyGroup, SubgroupEffects
from evaluation.reporting.disclosure import HIDDEN, Gate
from evaluation.reporting.tables import Table
from evaluation.reporting.wording import Voice

SIDES = ("Treated", "Controls")


def breakdown_table(by: str, result: SubgroupEffects, gate: Gate, voice: Voice) -> Table:
    """Show a breakdown: a row for each group, and one for each difference between two."""
    groups = {level: found for (breakdown, level), found in result.effects.items() if breakdown == by}
    measures = list(dict.fromkeys(name for found in groups.values() if isinstance(found, Effects) for name in found.estimates()))
    sizes = {level: _sizes(found) for level, found in groups.items()}
    withheld = [_beside_few([size[place] for size in sizes.values()], gate) for place in range(len(ARMS))]
    rows = []
    for number, (level, found) in enumerate(groups.items()):
        counts = [HIDDEN if withheld[place][number] else gate.count(size, voice.count) for place, size in enumerate(sizes[level])]
        if isinstance(found, EmptyGroup):
            cells = [plainly(found.reason), *[""] * (len(measures) - 1)][: len(measures)]
        else:
            few, own = _few(found, gate), found.estimates()
            cells = [HIDDEN if few else _effect(own[name], name, voice) if name in own else "–" for name in measures]
        rows.append((level, *counts, *cells))
    for level, reference in dict.fromkeys((level, reference) for breakdown, level, reference, _ in result.differences if breakdown == by):
        few = any(_few(groups[group], gate) for group in (level, reference))
        gaps = [result.differences.get((by, level, reference, name)) for name in measures]
        cells = [HIDDEN if few else "–" if gap is None else _effect(gap, name, voice) for gap, name in zip(gaps, measures, strict=True)]
        rows.append((f"{level} minus {reference}", "", "", *cells))
    marks = tuple("" if row < len(groups) else "difference" for row in range(len(rows)))
    return Table(by, ("Group", *SIDES, *(_measure(name, voice) for name in measures)), tuple(rows), marks)


def tests_table(result: SubgroupEffects, gate: Gate, voice: Voice) -> Table | None:
    """Show the tests of whether effects differ; None where there is none of groups that may all be shown."""
    rows = tuple(
        (f"{row['by']}, {_measure(row['measure'], voice)}", voice.p_number(row["p_value"]), voice.p_number(row["p_holm"]))
        for row in result.interaction_tests.to_dict("records")
        if not any(_few(found, gate) for (by, _), found in result.effects.items() if by == row["by"])
    )
    return Table("Do the effects differ?", ("Breakdown and measure", "p", "p, Holm"), rows) if rows else None


def points(estimate: Estimate, voice: Voice) -> tuple[str, str]:
    """Write a difference of shares and its interval, in percentage points."""
    return f"{voice.points(estimate)} pp", voice.point_range(estimate)


def plainly(key: str) -> str:
    """Write a key that has no message as words."""
    return key.replace("_", " ").capitalize()


def _sizes(found: Effects | EmptyGroup) -> tuple[int, int]:
    return (found.treated, found.control) if isinstance(found, EmptyGroup) else (found.arms["treated"].n, found.arms["control"].n)


def _beside_few(counts: Sequence[int], gate: Gate) -> list[bool]:
    """Say which counts must go beside those of few, which their total would otherwise give away; those of few say "<10" themselves."""
    total = sum(counts)
    if not total:
        return [False] * len(counts)
    hidden = gate.hides_parts(np.array(counts, dtype=np.float64).reshape(-1, 1) / total, [total])
    return [bool(hide) and not gate.hides(count) for count, hide in zip(counts, hidden, strict=True)]


def _few(found: Effects | EmptyGroup, gate: Gate) -> bool:
    """Say whether the effects in a group would tell of few people, with or without success."""
    return isinstance(found, Effects) and any(gate.hides_outcome(arm.n, arm.events) for arm in found.arms.values())


def _measure(name: str, voice: Voice) -> str:
    kind, _, days = name.partition("_")
    return f"Share by {voice.span(float(days))}" if kind == "risk" else {"rmst": "Mean days", "log_hazard_ratio": "Hazard ratio"}[name]


def _effect(estimate: Estimate, measure: str, voice: Voice) -> str:
    if measure == "log_hazard_ratio":  # of a difference: the ratio of two ratios
        value, low, high = (math.exp(end) for end in (estimate.value, estimate.low, estimate.high))
        return f"{voice.number(value, 2)} ({voice.range(low, high, 2)})"
    if measure == "rmst":
        return f"{voice.signed(estimate.value)} ({voice.range(estimate.low, estimate.high, signed=True)})"
    return "{} ({})".format(*points(estimate, voice))
