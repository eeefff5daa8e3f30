"""What is asked of every study? The fixed list, so that nobody can choose the questions after having seen the answers.

References
----------
Rosenbaum (2002). Observational Studies, 2nd ed. Springer, chapter 4 (sensitivity to hidden bias).
VanderWeele & Ding (2017). Sensitivity analysis in observational research: introducing the E-value. Annals of Internal Medicine 167(4), 268-274.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple, get_args

from evaluation.analysis.exits import Definition
from evaluation.design.designs import AnyDesign
from evaluation.design.weighting import WeightingSpec
from evaluation.plan import RegisterPlan
from evaluation.sensitivity import nulls, other_comparisons, other_outcomes, other_people, unseen
from evaluation.sensitivity.baseline import Baseline
from evaluation.sensitivity.rows import Finding

CALIPERS_SD = (0.1, 0.2, 0.3, None)
RATIOS = (1, 2, 4)
SUSTAINED_DAYS = (30, 90)
GAPS_DAYS = (0, 7, 30, 60)


class Probe(NamedTuple):
    """One question: its name, unique in the list, and what answers it from the baseline."""

    name: str
    run: Callable[[Baseline], Finding]


def fixed_list(baseline: Baseline) -> list[Probe]:
    """Give every probe of a study, the slowest first; those that do not apply are asked too, and say so."""
    return [*_of_other_people(baseline), *_of_outcomes(baseline), *_of_comparisons(baseline), *_of_the_unseen()]


def _of_other_people(baseline: Baseline) -> Iterator[Probe]:
    yield Probe("placebos", nulls.look_for_nothing)
    yield from (Probe(f"gap_days {days}", partial(other_outcomes.bridge_gaps, gap_days=days)) for days in GAPS_DAYS if days != _gap_days(baseline))
    yield Probe("elsewhere", other_people.compare_with_elsewhere)
    yield Probe("offer_date", other_people.count_from_offer)
    yield Probe("teams", other_people.leave_out_teams)
    yield Probe("static", other_people.freeze_dates)
    yield Probe("first_months", other_people.leave_out_first_months)
    if isinstance(baseline.plan, RegisterPlan):
        for column, levels in baseline.plan.cohort.periods.items():
            yield from (Probe(f"period {column}={level}", partial(other_people.keep_period, column=column, level=level)) for level in levels)


def _gap_days(baseline: Baseline) -> int | None:
    return None if baseline.clean is None else baseline.clean.spec.gap_days


def _of_outcomes(baseline: Baseline) -> Iterator[Probe]:
    own = baseline.plan.outcome.definition if isinstance(baseline.plan, RegisterPlan) else None
    asked: list[tuple[str, dict[str, object]]] = [(name, {"definition": name}) for name in get_args(Definition) if name != own]
    asked += [(f"{days}", {"sustained_days": days}) for days in SUSTAINED_DAYS]
    for setting, changes in asked:
        (what,) = changes
        yield Probe(f"{what} {setting}", partial(other_outcomes.define_otherwise, setting=setting, changes=changes))
    yield Probe("own_start", other_outcomes.follow_to_own_start)
    yield Probe("lost_contact", other_outcomes.lose_contact)


def _of_comparisons(baseline: Baseline) -> Iterator[Probe]:
    base, own = other_comparisons.nearest(baseline), baseline.plan.comparison
    exact = own.exact
    others: list[tuple[str, str, AnyDesign]] = [
        *(("caliper", "none" if width is None else f"{width:g}", base.model_copy(update={"caliper_sd": width})) for width in CALIPERS_SD),
        *(("ratio", f"{ratio}", base.model_copy(update={"ratio": ratio})) for ratio in RATIOS),
        ("replacement", "", base.model_copy(update={"replace": True})),
        *(("weights", method, WeightingSpec.model_validate({"method": method, "exact": exact})) for method in ("att", "entropy", "overlap")),
    ]
    for probe, setting, spec in others:
        if spec != own:
            yield Probe(f"{probe} {setting}".strip(), partial(other_comparisons.compare_otherwise, probe=probe, setting=setting, spec=spec))
    for setting in ("matched", "alone", "doubly_robust"):
        yield Probe(f"regression {setting}", partial(other_comparisons.regress, setting=setting))


def _of_the_unseen() -> Iterator[Probe]:
    yield Probe("unseen", unseen.weigh_the_unseen)
    yield Probe("rosenbaum", unseen.bound_hidden_bias)
