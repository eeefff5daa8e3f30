"""What else must be on page one? In a line each: how certain, how near the goals, for whom, at what cost."""

from __future__ import annotations

from collections.abc import Iterator

from evaluation.reporting.blocks import Items
from evaluation.reporting.costs import costs_of, exit_sentences
from evaluation.reporting.goals import goal_sentence
from evaluation.reporting.scene import Scene
from evaluation.reporting.subgroups import gap_sentences
from evaluation.sensitivity.certainty import grade_certainty
from evaluation.sensitivity.table import Sensitivity
from evaluation.study import Study

MOST_BREAKDOWNS = 2  # sex and origin, where the plan has them first; the others stand under their own heading


def glance(study: Study, sensitivity: Sensitivity | None, scene: Scene) -> Items:
    """Give the lines of page one that have something to say."""
    return Items(tuple(_lines(study, sensitivity, scene)))


def _lines(study: Study, sensitivity: Sensitivity | None, scene: Scene) -> Iterator[str]:
    voice = scene.voice
    if sensitivity is None:
        yield voice("sensitivity_absent")
    else:
        yield voice("certainty_lead", grade=voice(f"grade_{grade_certainty(study.design.verdict, sensitivity).grade}"))
    if study.goals is not None:
        yield " ".join([voice("goals_gross"), *(goal_sentence(study.goals, phase, scene) for phase in study.goals.phases)])
    yield from gap_sentences(study, scene, MOST_BREAKDOWNS)
    spec = study.design.plan.costs
    found = costs_of(study, spec, scene) if spec is not None else None
    if found is not None:
        yield exit_sentences(found, scene)[0]
