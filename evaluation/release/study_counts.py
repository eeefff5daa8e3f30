"""Which counts does a study's report rest on?

People of either arm, those of them who are followed to each horizon and those with success by it, the same in every reported group at the horizon of
the answer, the people at each step from registered to compared, and those who have each characteristic; where the goals are followed, everybody who
started too. They pass the gate together, for groups add up to arms, steps lie within each other and participants among those who started. A weighted
share stands for as many people as it is a share of.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations, product

from evaluation.analysis.curves import ARMS
from evaluation.analysis.effects import Effects
from evaluation.analysis.goals import ALL
from evaluation.release.balance_counts import balance_cell, balance_counts
from evaluation.release.counts import Counts, join_counts
from evaluation.release.goal_counts import goal_counts, link_to_study
from evaluation.release.rules import ReleaseRules, count_of
from evaluation.study import Design, Study

CROSSED = " x "  # between the names of breakdowns that are crossed, and between their levels
Group = tuple[str, str]  # breakdown and level


def people_cell(arm: str, group: tuple[str, str] | None = None) -> str:
    """Name the cell with the people of an arm, or of a group (breakdown, level) in it."""
    return arm if group is None else f"{arm}, {group[0]}: {group[1]}"


def followed_cell(people: str, horizon_days: float) -> str:
    """Name the cell with those of some people who are followed to a horizon."""
    return f"{people}, followed {horizon_days:g} days"


def success_cell(people: str, horizon_days: float) -> str:
    """Name the cell with those of some people who have success by a horizon."""
    return f"{people}, success by {horizon_days:g} days"


def step_cell(arm: str, number: int) -> str:
    """Name the cell with the people of an arm at a step of the attrition, numbered from 0."""
    return f"{arm}, step {number}"


def study_counts(study: Study, rules: ReleaseRules | None = None) -> Counts:
    """Gather the counts that a study's report rests on, to pass the gate together.

    Parameters
    ----------
    study : Study
    rules : ReleaseRules, optional
        The site's.

    Returns
    -------
    Counts
        Cells named as the functions of this room name them. Groups that add up to their arm are parts of a sum, others lie within it.
    """
    rules = rules or ReleaseRules()
    groups: dict[str, list[str]] = defaultdict(list)
    parts = [_of_arms(study.effects, None, rules)]
    for found in (study.registered, study.exploratory):
        for group, effects in found.effects.items():
            people = {arm: people_cell(arm, group) for arm in ARMS}
            groups[group[0]].append(group[1])
            if isinstance(effects, Effects):
                parts.append(_of_arms(effects, group, rules, only=study.design.plan.primary_days))
            else:
                parts.append(Counts({people["treated"]: effects.treated, people["control"]: effects.control}))
    cells = {name: count for part in parts for name, count in part.cells.items()}
    nested = [pair for part in parts for pair in part.nested]
    sums, within = _tie_groups(groups, cells, study.design.plan.primary_days)
    nested += within
    nested += _add_steps(study.design, cells)
    having = [pair for part in parts for pair in part.having]
    balance = balance_counts(study.design)
    named = {people_cell("treated", of): balance_cell("treated", *of) for found in (study.registered, study.exploratory) for of in found.effects}
    same = [(group, cell) for group, cell in named.items() if balance.cells.get(cell) == cells[group]]  # the same people under two names
    nested += [pair for one, other in same for pair in ((one, other), (other, one))]
    counts = Counts({**cells, **balance.cells}, (*sums, *balance.sums), (*having, *balance.having), tuple(nested))
    return _with_goals(counts, study, rules)


def _tie_groups(
    groups: Mapping[str, Sequence[str]], cells: dict[str, int], primary_days: float
) -> tuple[list[tuple[str, tuple[str, ...]]], list[tuple[str, str]]]:
    """Tie groups to all they make up, the arm and the groups of breakdowns that theirs crosses: people, those followed, and those with success.

    What groups without an effect lack is a cell of its own, for what the others leave of the whole is theirs.
    """
    kinds: list[Callable[[str], str]] = [str, lambda people: followed_cell(people, primary_days), lambda people: success_cell(people, primary_days)]
    sums: list[tuple[str, tuple[str, ...]]] = []
    nested: list[tuple[str, str]] = []
    for arm, (whole, members), kind in product(ARMS, list(_wholes(groups)), kinds):
        outer, parts = kind(people_cell(arm, whole)), [kind(people_cell(arm, member)) for member in members]
        known = [part for part in parts if part in cells]
        rest = cells.get(outer, -1) - sum(cells[part] for part in known)
        if rest > 0 and len(known) < len(parts):
            left = f"{outer}, without an effect by {members[0][0]}"
            cells[left], rest = rest, 0
            known.append(left)
        if rest == 0:
            sums.append((outer, tuple(known)))
        elif outer in cells:  # weighted shares need not add up
            nested += [(outer, part) for part in known if cells[part] <= cells[outer]]
    return sums, nested


def _wholes(groups: Mapping[str, Sequence[str]]) -> Iterator[tuple[Group | None, list[Group]]]:
    """Give what each breakdown's groups make up: the arm, and each group of every breakdown that theirs crosses with others."""
    for by, levels in groups.items():
        yield None, [(by, level) for level in levels]
        names = by.split(CROSSED)
        for wider in groups:
            inner = wider.split(CROSSED)
            if len(inner) < len(names) and set(inner) <= set(names):
                places = [names.index(name) for name in inner]
                outer = {level: CROSSED.join(level.split(CROSSED)[place] for place in places) for level in levels}
                yield from (((wider, whole), [(by, level) for level in levels if outer[level] == whole]) for whole in groups[wider])


def design_counts(design: Design) -> Counts:
    """Gather the counts that the report of a design rests on whose outcomes are closed: the people at each step.

    Parameters
    ----------
    design : Design

    Returns
    -------
    Counts
        Cells named as the functions of this room name them; the arms themselves among them.
    """
    cells = {"treated": design.comparison.n_treated, "control": design.comparison.n_control}
    nested = _add_steps(design, cells)
    return join_counts(Counts(cells, nested=tuple(nested)), balance_counts(design))


def _with_goals(counts: Counts, study: Study, rules: ReleaseRules) -> Counts:
    """Put everybody who started beside the study's participants, who are among them, group by group; nothing where no goals are followed."""
    goals = study.goals
    if goals is None:
        return counts
    steps = [step_cell("treated", number) for number in range(len(study.design.comparison.attrition))]
    participants = [(ALL, ALL, cell) for cell in ["treated", *steps] if cell in counts.cells]
    for found in (study.registered, study.exploratory):
        participants += [(by, level, people_cell("treated", (by, level))) for by, level in found.effects]
    return link_to_study(join_counts(counts, goal_counts(goals, rules)), participants)


def _of_arms(effects: Effects, group: tuple[str, str] | None, rules: ReleaseRules, only: float | None = None) -> Counts:
    """Count the people of either arm, those followed to each horizon, or the `only` one, and those with success by it."""
    cells: dict[str, int] = {}
    having: list[tuple[str, str]] = []
    nested: list[tuple[str, str]] = []
    for name in ARMS:
        arm, people, successes = effects.arms[name], people_cell(name, group), list[tuple[str, int]]()
        cells[people] = arm.n
        for horizon, share in arm.risk.items():
            if only not in (None, horizon):
                continue
            followed, success = followed_cell(people, horizon), success_cell(people, horizon)
            cells |= {followed: share.n, success: count_of(share.value, share.n, rules)}
            nested += [(people, followed)] if share.n <= arm.n else []
            having.append((followed, success))
            successes.append((success, share.n))
        nested += [
            (later, earlier)
            for (earlier, before), (later, after) in combinations(successes, 2)
            if cells[earlier] <= cells[later] and before - after < rules.threshold  # shares of other people say nothing of each other
        ]
    return Counts(cells, having=tuple(having), nested=tuple(nested))


def _add_steps(design: Design, cells: dict[str, int]) -> list[tuple[str, str]]:
    nested: list[tuple[str, str]] = []
    for arm in ARMS:
        counts = design.comparison.attrition[arm].reset_index(drop=True).dropna()
        steps = {step_cell(arm, number): int(count) for number, count in zip(counts.index.tolist(), counts.tolist(), strict=True)}
        cells |= steps
        nested += [(before, after) for before, after in combinations([*steps, arm], 2) if cells[after] <= cells[before]]
    return nested
