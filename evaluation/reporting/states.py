"""How do the kinds of exit leave together: each by itself, the kinds of work and studies among them, and success in all?"""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from operator import add

from evaluation.analysis.curves import ARMS
from evaluation.analysis.effects import Effects
from evaluation.analysis.means import Contrast
from evaluation.release.contrasts import ReleasedContrast
from evaluation.release.telling import Telling
from evaluation.reporting.scene import once

Groups = Mapping[str, tuple[str, ...]]

UNSUBSIDISED, NEW_START, SUBSIDISED, STUDIES = "part_unsubsidised", "part_new_start", "part_subsidised", "part_studies"
PARTS: Groups = {  # what the report tells apart in success; the states of codes/tillstand.csv
    UNSUBSIDISED: ("arbete_osubventionerat",),
    NEW_START: ("nystartsjobb",),
    SUBSIDISED: ("arbete_subventionerat", "arbete_lonebidrag", "eget_foretagande"),
    STUDIES: ("studier_reguljara",),
}
ALL_SUBSIDISED = "all subsidised"
_SUCCESS = "success"


def state_contrast(effects: Effects, horizon: float, states: tuple[str, ...]) -> Contrast:
    """Give the share that went to any of `states` by a horizon, in either arm, and the difference."""
    treated, control = (reduce(add, (effects.arms[arm].cumulative_incidence[state, horizon] for state in states)) for arm in ARMS)
    return Contrast(treated, control, treated - control)


def present_parts(effects: Effects) -> dict[str, tuple[str, ...]]:
    """Give the parts of success that the follow-up has, with their states; empty where success has fewer than two."""
    success = set(effects.spec.success or ()) & {state for state, _ in effects.cumulative_incidence}
    found = {part: tuple(state for state in states if state in success) for part, states in PARTS.items()}
    found = {part: states for part, states in found.items() if states}
    return found if len(found) > 1 else {}


def released_states(effects: Effects, horizon: float, telling: Telling) -> dict[str, ReleasedContrast]:
    """Let the shares in every state by a horizon through, together with the parts of success and success itself.

    Parameters
    ----------
    effects : Effects
    horizon : float
        Days.
    telling : Telling

    Returns
    -------
    dict of str to ReleasedContrast
        By state, by part of `present_parts`, and `ALL_SUBSIDISED`; empty where the horizon is not reached.
    """
    return once(effects, ("states", horizon, telling), lambda: _released(effects, horizon, telling))


def _released(effects: Effects, horizon: float, telling: Telling) -> dict[str, ReleasedContrast]:
    states = tuple(dict.fromkeys(state for state, days in effects.cumulative_incidence if days == horizon))
    if not states:
        return {}
    of = {part: inside for part, inside in present_parts(effects).items() if len(inside) > 1}
    subsidised = tuple(state for part in (NEW_START, SUBSIDISED) for state in present_parts(effects).get(part, ()))
    of |= {ALL_SUBSIDISED: subsidised} if len(subsidised) > 1 else {}
    success = tuple(state for state in states if effects.spec.success is None or state in effects.spec.success)
    of |= {_SUCCESS: success} if len(success) > 1 else {}
    parts = {state: state_contrast(effects, horizon, (state,)) for state in states}
    wholes = {whole: state_contrast(effects, horizon, inside) for whole, inside in of.items()}
    found = telling.parts(f"left by {horizon:g} days", parts, wholes, of)
    return found | {part: found[inside[0]] for part, inside in present_parts(effects).items() if len(inside) == 1}
