"""What do the placebos and the negative controls come to, and what is left of the answer once they are counted?"""

from __future__ import annotations

from evaluation.analysis.estimates import Estimate
from evaluation.analysis.means import Contrast
from evaluation.errors import EstimationError, EvaluationError
from evaluation.sensitivity.baseline import Baseline
from evaluation.sensitivity.calibration import calibrate
from evaluation.sensitivity.placebo import negative_controls, placebo_outcomes, placebo_pool, placebo_start
from evaluation.sensitivity.rows import CannotRun, Finding, Row, absent, estimated

MONTHS_EARLIER = (12, 36)  # a year, as evaluators are used to; and the three in which people have had time to leave and come back


def look_for_nothing(baseline: Baseline) -> Finding:
    """Walk the same road to effects that cannot be there, and calibrate the answer by what is found."""
    try:
        clean, design = baseline.registers, baseline.design
        pool = placebo_pool(clean, design)
    except EvaluationError as error:
        return Finding(tuple(absent(probe, "", error, kind="null") for probe in ("placebo_start", "placebo_outcome", "negative_control")))
    nulls: list[Estimate] = []
    rows: list[Row] = []

    def keep(probe: str, setting: str, found: Contrast | str) -> None:
        if isinstance(found, str):
            rows.append(Row(probe, setting, "null", why="people", reason=found))
            return
        nulls.append(found.difference)
        rows.append(estimated(probe, setting, found.difference, found.treated.n, found.control.n, kind="null"))

    for months in MONTHS_EARLIER:
        try:
            keep("placebo_start", f"{months}", placebo_start(clean, design, months_earlier=months, pool=pool))
        except EstimationError as error:
            keep("placebo_start", f"{months}", str(error))
    for name, found in placebo_outcomes(clean, design, pool=pool).items():
        keep("placebo_outcome", name, found)
    for name, found in negative_controls(clean, design).items():
        keep("negative_control", name, found)
    return Finding((*rows, _calibrated(baseline, nulls)))


def _calibrated(baseline: Baseline, nulls: list[Estimate]) -> Row:
    own = baseline.effects.risk_difference[baseline.horizon_days]
    try:
        found = calibrate(own, nulls)
    except EstimationError as error:
        return absent("calibrated", "", CannotRun("people", str(error)))
    return Row("calibrated", "", "answer", found.value, found.low, found.high, found.p_value, *baseline.n_people)
