"""What does every probe start from?

The study's design, its follow-up and its answer at the horizon of the plan; and, for a study of registers, the registers, which some read anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from evaluation.analysis.compared import compared_follow_up
from evaluation.analysis.curves import ARMS, EffectSpec
from evaluation.analysis.effects import Effects, effects_within, estimate_effects
from evaluation.analysis.exits import OutcomeSpec, observe_outcomes
from evaluation.analysis.outcomes import FollowUp
from evaluation.design.cohort import Bools, Cohort
from evaluation.design.cohort_spec import TimeZero
from evaluation.design.comparison import Comparison
from evaluation.design.designs import AnyDesign, make_comparison
from evaluation.design.propensity import estimate_propensity
from evaluation.plan import RegisterPlan, TablePlan
from evaluation.registers.cleaning import CleanRegisters
from evaluation.registers.states import States, observe_states
from evaluation.sensitivity.rows import CannotRun
from evaluation.study import Design, keep_support


@dataclass(frozen=True, eq=False)
class Baseline:
    """A study's own answer, and what it takes to give another.

    Attributes
    ----------
    design : Design
    follow_up : FollowUp
        Of the cohort's rows.
    success : tuple of str or None
        The states that are success.
    clean : CleanRegisters or None
        None for a study of one table.
    """

    design: Design
    follow_up: FollowUp
    success: tuple[str, ...] | None
    clean: CleanRegisters | None

    @property
    def plan(self) -> TablePlan | RegisterPlan:
        """The study's plan."""
        return self.design.plan

    @property
    def register_plan(self) -> RegisterPlan:
        """The plan, of a study that starts at registers.

        Raises
        ------
        CannotRun
            If it does not.
        """
        if not isinstance(self.plan, RegisterPlan):
            raise CannotRun("registers", "needs registers; this study is of one table")
        return self.plan

    @property
    def registers(self) -> CleanRegisters:
        """The registers, of a study that starts at them; otherwise as `register_plan`."""
        if self.clean is None:
            raise CannotRun("registers", "needs registers; this study is of one table")
        return self.clean

    @cached_property
    def states(self) -> States:
        """What the registers say of every day."""
        return observe_states(self.registers)

    @property
    def horizon_days(self) -> float:
        """The horizon of the answer."""
        return self.plan.primary_days

    @cached_property
    def spec(self) -> EffectSpec:
        """What every probe asks: success at the horizon of the answer."""
        return self.asking(self.success)

    def asking(self, success: tuple[str, ...] | None) -> EffectSpec:
        """Ask for the share with another success at the same horizon."""
        return self.plan.effect_spec().at(self.horizon_days).model_copy(update={"success": success})

    @cached_property
    def effects(self) -> Effects:
        """The study's own answer."""
        return estimate_effects(self.design.cohort, self.design.comparison, self.follow_up, self.spec)

    @property
    def n_people(self) -> tuple[int, int]:
        """How many people the study's own answer compares: treated, controls."""
        treated, control = (self.effects.arms[arm].n for arm in ARMS)
        return treated, control

    def among(self, inside: Bools) -> Effects:
        """Estimate among some rows of the cohort only, shape (n,), compared as they were."""
        compared = compared_follow_up(self.design.cohort, self.design.comparison, self.follow_up)
        return effects_within(compared, self.spec.succeeded(compared), inside[compared.rows], self.spec)

    def compared_by(self, spec: AnyDesign) -> Comparison:
        """Compare the same people in another way."""
        return make_comparison(self.design.cohort, self.design.scores, spec)

    def road(self, cohort: Cohort, follow_up: FollowUp) -> Effects:
        """Estimate of another cohort, compared as the plan says."""
        kept, scores, support = keep_support(cohort, estimate_propensity(cohort, self.plan.propensity), self.plan)
        if support is not None:
            follow_up = follow_up.take(np.flatnonzero(support.kept))
        return estimate_effects(kept, make_comparison(kept, scores, self.plan.comparison), follow_up, self.spec)

    def observed(self, cohort: Cohort, states: States, outcome: OutcomeSpec | None = None, time_zero: TimeZero | None = None) -> FollowUp:
        """Follow a cohort through the registers by the plan's definition of success and time zero, or others."""
        plan = self.register_plan
        return observe_outcomes(states, cohort, outcome or plan.outcome, time_zero=time_zero or plan.cohort.time_zero)
