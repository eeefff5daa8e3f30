"""What if success, or what a record means, were something else?

The comparison stays as it is, except where records are mended by another rule: then everything is done again.
"""

from __future__ import annotations

from evaluation.analysis.effects import estimate_effects
from evaluation.analysis.exits import OutcomeSpec
from evaluation.analysis.later_starts import censor_later_starts
from evaluation.analysis.lost_contact import LOST, SHARES, lost_contact
from evaluation.design.risk_sets import select_cohort
from evaluation.registers.cleaning import CleaningSpec, clean_registers
from evaluation.registers.states import observe_states
from evaluation.sensitivity.baseline import Baseline
from evaluation.sensitivity.rows import CannotRun, Finding, Row, answer, attempt, estimated

USUAL_SHARE = 0.45  # of the lost had found work in the survey (Bring & Carling 2000)
FINE_SHARES = tuple(share / 20 for share in range(21))  # a line smooth enough to draw


def lose_contact(baseline: Baseline) -> Finding:
    """Count every share of the lost as success, in both arms alike and in either alone, and find where the answer tips."""
    if not set(LOST) <= set(baseline.follow_up.states):
        row = Row("lost_contact", "", why="table", reason="the follow-up has no exits for a reason that is not known")
        return Finding((row,))
    design, horizon = baseline.design, baseline.horizon_days
    found = lost_contact(design.cohort, design.comparison, baseline.follow_up, baseline.spec, horizon_days=horizon, shares=(*SHARES, *FINE_SHARES))

    def line(setting: str, treated_share: float, control_share: float) -> Row:
        return estimated("lost_contact", setting, found.effect(treated_share, control_share), *baseline.n_people)

    rows = [line(f"{share:g}", share, share) for share in SHARES if share > 0]
    rows += [line("treated", 1.0, 0.0), line("control", 0.0, 1.0)]
    censored = found.as_censored
    if censored is not None:
        rows.append(estimated("lost_contact", "censored", censored.difference, *baseline.n_people))
    tip = found.tipping.set_index("treated_share")["control_share"]
    for share in (0.0, USUAL_SHARE):
        rows.append(Row("tipping", f"{share:g}", "bound", float(tip.loc[share]), unit="share_of_lost"))
    return Finding(tuple(rows), {"pairs": found.pairs, "tipping": found.tipping})


def define_otherwise(baseline: Baseline, setting: str, changes: dict[str, object]) -> Finding:
    """Ask for another definition of success, or for one that lasts."""
    probe = "definition" if "definition" in changes else "sustained"

    def run() -> Row:
        outcome = OutcomeSpec.model_validate(baseline.register_plan.outcome.model_dump() | changes)
        success = outcome.success(baseline.registers.registers.contract)
        follow_up = baseline.observed(baseline.design.cohort, baseline.states, outcome)
        effects = estimate_effects(baseline.design.cohort, baseline.design.comparison, follow_up, baseline.asking(success))
        return answer(probe, setting, effects, baseline.horizon_days)

    return Finding((attempt(probe, setting, run),))


def bridge_gaps(baseline: Baseline, gap_days: int) -> Finding:
    """Mend gaps between registrations by another rule, and do everything again."""

    def run() -> Row:
        clean = clean_registers(baseline.registers.registers, CleaningSpec(gap_days=gap_days))
        cohort = select_cohort(clean, baseline.register_plan.cohort)
        follow_up = baseline.observed(cohort, observe_states(clean))
        return answer("gap_days", f"{gap_days}", baseline.road(cohort, follow_up), baseline.horizon_days)

    return Finding((attempt("gap_days", f"{gap_days}", run),))


def follow_to_own_start(baseline: Baseline) -> Finding:
    """Follow controls to their own start only, those who stay weighted up for those who go."""

    def run() -> Row:
        if baseline.follow_up.later_start is None:
            raise CannotRun("registers", "needs registers, which tell when a control starts; this study is of one table")
        design = baseline.design
        follow_up, _ = censor_later_starts(design.cohort, design.comparison, baseline.follow_up)
        effects = estimate_effects(design.cohort, design.comparison, follow_up, baseline.spec)
        return answer("own_start", "", effects, baseline.horizon_days)

    return Finding((attempt("own_start", "", run),))
