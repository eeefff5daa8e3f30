"""What else must be on page one? In a line each: how certain, how near the goals, for whom, at what cost."""

from __future__ import annotations

from collections.abc import Iterator

from evaluation.analysis.effects import Effects
from evaluation.registers.origin import UNKNOWN
from evaluation.reporting.blocks import Items
from evaluation.reporting.costs import costs_of, exit_sentences, mostly_subsidised
from evaluation.reporting.goal_numbers import ends_with_project, share_left
from evaluation.reporting.goals import goal_sentence
from evaluation.reporting.scene import Scene, sure
from evaluation.sensitivity.certainty import grade_certainty
from evaluation.sensitivity.table import Sensitivity
from evaluation.study import Study

MOST_BREAKDOWNS = 2  # sex and origin, where the plan has them first; the others stand under their own heading


def glance(study: Study, sensitivity: Sensitivity | None, scene: Scene) -> Items:
    """Give the lines of page one that have something to say; of a design that failed only how near the goals, which hold whatever the effect."""
    if not study.design.verdict.passed:
        return Items(tuple(_goals(study, scene)))
    return Items(tuple(_lines(study, sensitivity, scene)))


def _lines(study: Study, sensitivity: Sensitivity | None, scene: Scene) -> Iterator[str]:
    voice = scene.voice
    if sensitivity is None:
        yield voice("sensitivity_absent")
    else:
        yield voice("certainty_lead", grade=voice(f"grade_{grade_certainty(study.design.verdict, sensitivity).grade}"))
    yield from _goals(study, scene)
    if groups := list(group_sentences(study, scene)):
        yield " ".join(groups)
    spec = study.design.plan.costs
    found = costs_of(study, spec, scene) if spec is not None else None
    if found is not None:
        yield exit_sentences(found, scene, subsidised=mostly_subsidised(study, found, scene))[0]


def _goals(study: Study, scene: Scene) -> Iterator[str]:
    """Say how near the goals, and why the project's record counts fewer than the registers above, where it does."""
    goals = study.goals
    if goals is None:
        return
    told = [scene.voice("goals_gross"), *(goal_sentence(goals, phase, scene) for phase in goals.phases)]
    whole, recorded = scene.passed.effects.get(scene.plan.primary_days), share_left(goals, scene)
    low = None if whole is None or whole.hidden or not study.design.verdict.passed else whole.treated.low
    if low is not None and recorded is not None and recorded < low and ends_with_project(goals, scene):
        told.append(scene.voice("goals_fewer_recorded"))
    yield " ".join(told)


def group_sentences(study: Study, scene: Scene) -> Iterator[str]:
    """Say each group's own effect, and whether they differ, in the first breakdowns of a single column decided beforehand."""
    days, voice, begun = scene.plan.primary_days, scene.voice, False
    single = [by for by in dict.fromkeys(by for by, *_ in study.registered.differences) if " x " not in by][:MOST_BREAKDOWNS]
    for (by, level, reference, measure), exact in study.registered.differences.items():
        if by not in single or measure != f"risk_{days:g}" or UNKNOWN in (level, reference):
            continue
        gap, pair = scene.passed.gap(by, level, reference, exact), [scene.passed.groups[by, name].difference for name in (level, reference)]
        if gap.value is None:
            continue
        d1, d2 = (scene.points(one) for one in pair)
        effects_of = {"d1": d1, "d2": d2, "group": _people(by, level, scene), "other": _people(by, reference, scene)}
        where = {"horizon": voice.span(days), "control": scene.names()["control"]}
        own = voice("glance_groups_too", **effects_of) if begun else voice("glance_groups", **effects_of, **where)
        begun = True
        effects = [study.registered.effects[by, name] for name in (level, reference)]
        if any(arm.risk[days].std_error == 0 for one in effects if isinstance(one, Effects) for arm in one.arms.values()):
            yield f"{own} {voice('glance_gap_no_spread')}"
            continue
        adjusted = scene.passed.tests.get((by, measure))
        together = adjusted is not None and adjusted[1].value is not None and adjusted[1].value < 1 - exact.level
        said = {"dd": scene.points(gap), "range": scene.point_range(gap), "most": scene.farthest_point(gap)}
        told = voice("glance_gap_unsure" if not sure(gap) else "glance_gap_sure" if together else "glance_gap_family", **said)
        yield f"{own} {told}"


def _people(by: str, level: str, scene: Scene) -> str:
    """Give what to call the people of a group in a sentence; by its label where there is no word for them."""
    key = f"people_{by}_{level}"
    return scene.voice(key) if scene.voice.has(key) else f"{scene.breakdown(by)}: {scene.level(by, level)}"
