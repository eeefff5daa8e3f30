"""How strong would something unseen have to be, and how small an effect could have been found?

Bounds rather than answers: E-values as risk ratios, Rosenbaum's gamma as a factor in the odds within a matched set, and the smallest difference the
comparison would find in four cases of five.
"""

from __future__ import annotations

from evaluation.analysis.e_values import EValue, hazard_e_value, share_e_value
from evaluation.analysis.hidden_bias import BiasBound, hidden_bias_bounds
from evaluation.errors import EstimationError
from evaluation.sensitivity.baseline import Baseline
from evaluation.sensitivity.rows import CannotRun, Finding, Row, absent, attempt


def weigh_the_unseen(baseline: Baseline) -> Finding:
    """Give E-values of the share and of the hazard ratio, and the smallest detectable effect."""
    effects, horizon = baseline.effects, baseline.horizon_days

    def of_share() -> Row:
        treated, control = (effects.arms[arm].risk[horizon] for arm in ("treated", "control"))
        return _e_row("share", share_e_value(treated, control))

    def of_hazard() -> Row:
        if effects.hazard_ratio is None:
            raise CannotRun("method", "there is no hazard ratio here")
        return _e_row("hazard", hazard_e_value(effects.hazard_ratio))

    detectable = next(check.value for check in baseline.design.verdict.checks if check.name == "minimal_detectable_effect")
    rows = [attempt("e_value", "share", of_share, kind="bound"), attempt("e_value", "hazard", of_hazard, kind="bound")]
    return Finding((*rows, Row("detectable", "", "bound", detectable)))


def _e_row(setting: str, found: EValue) -> Row:
    return Row("e_value", setting, "bound", found.point, low=found.interval, unit="ratio")


def bound_hidden_bias(baseline: Baseline) -> Finding:
    """Give the largest difference in odds within matched sets that leaves an effect: by the horizon, and over the whole time.

    The direction tested is the one the programme is for, more and sooner, whatever the estimate says.
    """
    design = baseline.design
    try:
        found = hidden_bias_bounds(design.cohort, design.comparison, baseline.follow_up, baseline.spec)
    except EstimationError as error:
        return Finding(tuple(absent("rosenbaum", setting, error, kind="bound") for setting in ("horizon", "time")))
    bounds = {"horizon": found.at_horizon[baseline.horizon_days], "time": found.time_to_success}
    return Finding(tuple(_gamma_row(setting, bound) for setting, bound in bounds.items()), {"hidden_bias": found.to_frame()})


def _gamma_row(setting: str, bound: BiasBound) -> Row:
    if bound.largest_gamma is None:
        return Row("rosenbaum", setting, "bound", unit="odds", why="no_effect", reason="the test finds no effect even where nothing unseen differs")
    return Row("rosenbaum", setting, "bound", bound.largest_gamma, unit="odds")
