"""What did the study find, for another program to read?

One JSON file whose form is published beside it (`templates/results.schema.json`). Everything in it has come through the gate and is rounded as on the
page; what is withheld is null, never nought. Labels and sentences are in both languages.

References
----------
JSON Schema, draft 2020-12.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from importlib.resources import files
from typing import Any

from evaluation.analysis.curves import ARMS
from evaluation.analysis.subgroups import EmptyGroup, SubgroupEffects
from evaluation.plan_sections import Language, Text
from evaluation.release.contrasts import ReleasedContrast
from evaluation.release.released import ReleasedNumber
from evaluation.release.rules import round_count
from evaluation.reporting import tables
from evaluation.reporting.scene import Scene, scene_of
from evaluation.sensitivity.certainty import grade_certainty
from evaluation.sensitivity.table import Sensitivity
from evaluation.study import Study

VERSION = "1.0.0"  # of the form; its first number changes when a reader of the older one would be misled
SHARE_DECIMALS = 3  # a tenth of a percentage point, as on the page
FINEST_DECIMALS = 5  # for an end of an interval that would otherwise be rounded to zero and hide its sign
ZERO = 1e-11  # shares: what is nearer to zero was zero before it was added up
_WHY_EMPTY = {"no_treated": "no_treated", "no_control": "no_control", "too_few": "few_people"}
_SCHEMA = files("evaluation.reporting").joinpath("templates/results.schema.json")

Json = dict[str, Any]
Scenes = Mapping[Language, Scene]


def results_schema() -> str:
    """Give the JSON Schema of the results, as text."""
    return _SCHEMA.read_text(encoding="utf-8")


def study_results(study: Study, *, sensitivity: Sensitivity | None = None, release: Mapping[str, float] | None = None) -> Json:
    """Give what a study found, as released, in the form of the published JSON Schema.

    Parameters
    ----------
    study : Study
    sensitivity : Sensitivity, optional
        What would change the conclusion; without it no certainty is graded.
    release : mapping of str to float, optional
        What the site's file says of its rules.

    Returns
    -------
    dict
        To be written as JSON. Shares and differences of shares are from -1 to 1 and counts are of people, rounded.

    Raises
    ------
    InputError
        As `scene_of`.
    """
    scenes: Scenes = {"sv": scene_of(study, "sv", release), "en": scene_of(study, "en", release)}
    scene, plan = scenes["sv"], study.design.plan
    return {
        "schema_version": VERSION,
        "study": plan.name,
        "title": _in_both(plan.wording.title),
        "question": _in_both(plan.wording.question),
        "source": {language: plan.source(language) for language in scenes},
        "synthetic": study.design.synthetic,
        "plan_sha256": plan.sha256 or None,
        "software": {"malmokraften-evaluation": version("malmokraften-evaluation")},
        "disclosure": {"threshold": scene.rules.threshold, "base": scene.rules.base},
        "supported": study.design.verdict.passed,
        "verdict": _verdict(study, scenes),
        "primary_horizon_days": plan.primary_days,
        "effects": _effects(study, scene),
        "hazard_ratio": _hazard_ratio(scene),
        "subgroups": [row for which, of in _breakdowns(study) for row in _groups(of, which, scenes)],
        "subgroup_differences": [row for which, of in _breakdowns(study) for row in _differences(of, which, scene)],
        "certainty": _certainty(study, sensitivity, scenes),
    }


def results_text(results: Json) -> str:
    """Write results as JSON: one value a line, in the order of the schema, and never an infinity or a nan."""
    return json.dumps(results, ensure_ascii=False, indent=2, allow_nan=False) + "\n"


def _in_both(text: Text) -> Json:
    return {"sv": text.sv, "en": text.en}


def _breakdowns(study: Study) -> tuple[tuple[bool, SubgroupEffects], ...]:
    """Give the breakdowns decided beforehand, then the others."""
    return (True, study.registered), (False, study.exploratory)


def _effects(study: Study, scene: Scene) -> list[Json]:
    plan, passed = scene.plan, scene.passed
    rows = []
    for horizon in map(plan.days, plan.effects.horizons):
        found = passed.effects.get(horizon)
        rows.append(
            {
                "measure": "share_with_success",
                "unit": "share",
                "horizon_days": horizon,
                "primary": horizon == plan.primary_days,
                "level": study.effects.spec.level,
                **_contrast(found),
                "withheld": "not_observed" if found is None else "few_people" if found.hidden else None,
            }
        )
    return rows


def _contrast(found: ReleasedContrast | None) -> Json:
    """Give either arm's people and share, and how the shares differ."""
    if found is None:
        return {"people_treated": None, "people_control": None, "treated": None, "control": None, "difference": None}
    people = dict(zip(("people_treated", "people_control"), found.people, strict=True))
    return {**people, **{name: _interval(getattr(found, name)) for name in (*ARMS, "difference")}}


def _interval(number: ReleasedNumber) -> Json | None:
    """Give a share with its interval, rounded as on the page: so finely that the ends keep their signs."""
    if number.value is None or number.low is None or number.high is None:
        return None
    ends = number.low, number.high
    fine = range(SHARE_DECIMALS, FINEST_DECIMALS)
    places = next((count for count in fine if all(round(end, count) != 0 or abs(end) < ZERO for end in ends)), FINEST_DECIMALS)
    low, high = (round(end, places) + 0.0 for end in ends)
    return {"value": round(number.value, SHARE_DECIMALS) + 0.0, "low": low, "high": high}


def _hazard_ratio(scene: Scene) -> Json | None:
    """Give the ratio where the page does."""
    ratio = scene.passed.ratios.get("hazard_ratio")
    if ratio is None or ratio.value is None or ratio.low is None or ratio.high is None:
        return None
    return {"unit": "ratio", "value": round(ratio.value, 2), "low": round(ratio.low, 2), "high": round(ratio.high, 2)}


def _groups(found: SubgroupEffects, registered: bool, scenes: Scenes) -> Iterator[Json]:
    scene = scenes["sv"]
    for (by, level), inside in found.effects.items():
        shown = scene.passed.groups[by, level]
        why: str | None
        if isinstance(inside, EmptyGroup):
            why = "few_people" if None in shown.people else _WHY_EMPTY[inside.reason]
        else:
            why = None if not shown.hidden else "few_people" if scene.plan.primary_days in inside.risk_difference else "not_observed"
        yield {
            "by": by,
            "group": level,
            "label": {language: of.level(by, level) for language, of in scenes.items()},
            "registered": registered,
            "unit": "share",
            "horizon_days": scene.plan.primary_days,
            **_contrast(shown),
            "withheld": why,
        }


def _differences(found: SubgroupEffects, registered: bool, scene: Scene) -> Iterator[Json]:
    """Give the differences of effects, of groups whose effects are both shown."""
    measure = f"risk_{scene.plan.primary_days:g}"
    for (by, level, reference, name), exact in found.differences.items():
        gap = _interval(scene.passed.gap(by, level, reference, exact)) if name == measure else None
        if gap is not None:
            yield {"by": by, "group": level, "reference": reference, "registered": registered, "unit": "share", "difference": gap}


def _verdict(study: Study, scenes: Scenes) -> list[Json]:
    """Give every requirement; a value that few people stand behind is null."""
    scene, rows = scenes["sv"], []
    for exact in study.design.verdict.checks:
        check = tables.released_check(exact, study.design, scene)
        value: float | None = round(check.value, SHARE_DECIMALS) if math.isfinite(check.value) else None
        if check.name == "effective_control":
            value = None if check.value < scene.gate.threshold else int(round_count(round(check.value), scene.rules))
        rows.append(
            {
                "name": check.name,
                "label": {language: of.voice(check.name) for language, of in scenes.items()},
                "value": value,
                "limit": check.limit,
                "at_least": check.at_least,
                "passed": check.passed,
            }
        )
    return rows


def _certainty(study: Study, sensitivity: Sensitivity | None, scenes: Scenes) -> Json | None:
    if sensitivity is None:
        return None
    found = grade_certainty(study.design.verdict, sensitivity)
    concerns = [
        {
            "name": concern.name,
            "lines": concern.lines,
            "text": {language: of.voice(f"concern_{concern.name}", count=concern.lines) for language, of in scenes.items()},
        }
        for concern in found.concerns
    ]
    return {"grade": found.grade, "concerns": concerns}
