r"""How finely may the numbers of a design be told, of its participation model and of its weights?

Each by how far one person moves it. A coefficient of a logistic model moves by the inverse information times the person's columns and residual. An
area under the curve and a share of people move by one part in the smaller group. What is made of weights is computed without each person in turn.

References
----------
Pregibon (1981). Logistic regression diagnostics. Annals of Statistics 9(4), 705-724.
Kish (1965). Survey sampling. Wiley (effective numbers).
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import expit

from evaluation.design.cohort import Cohort, Floats
from evaluation.design.comparison import Comparison, effective_number
from evaluation.design.propensity import PropensityScores
from evaluation.design.weighting import HEAVIEST
from evaluation.release.held import Held, step_through
from evaluation.release.magnitudes import coarseness, ends_of, round_to
from evaluation.release.released import SEAL, ReleasedNumber
from evaluation.release.rules import ReleaseRules
from evaluation.study import Design

_SOME_FACTOR = math.log(2.5)  # between two steps of the ladder 1, 2, 5
_NOTHING = 1e-12


def coefficient_pulls(scores: PropensityScores, cohort: Cohort) -> Floats:
    r"""Give how far one person moves each coefficient of a participation model at most.

    Parameters
    ----------
    scores : PropensityScores
    cohort : Cohort
        Of the same rows.

    Returns
    -------
    ndarray of float, shape (q,)
        In the order of `scores.coefficients`, on the scale of log odds.

    Notes
    -----
    :math:`\max_i |V x_i (t_i - p_i)|` with V the inverse information, over all rows that are of one person. Where the model was left behind with
    people who are no longer there, the standard error: the squares of everybody's pulls add up to its square, so nobody pulls farther.
    """
    model = scores.model
    if model is None:
        return scores.coefficients["std_error"].to_numpy(dtype=np.float64)
    residual = cohort.treated - expit(model.columns @ model.coefficients)
    pulls = [np.bincount(cohort.person_code, (model.columns @ column) * residual) for column in model.inverse_information.T]
    return np.array([np.abs(of_each).max(initial=0.0) for of_each in pulls])


def score_reach(design: Design, rules: ReleaseRules) -> Floats:
    r"""Give how far few people move each row's score, whose model they are in.

    Parameters
    ----------
    design : Design
    rules : ReleaseRules

    Returns
    -------
    ndarray of float, shape (n,)
        On the scale of log odds.

    Notes
    -----
    :math:`t \max_i \sqrt{h_i} |t_i - p_i| \sqrt{h_j}` with :math:`h_j = x_j' V x_j` and threshold t, which is at least as far as they do
    (Cauchy-Schwarz). Without a model at hand the leverage of every row is taken to be twice the mean, :math:`2 q / n \bar p (1 - \bar p)`.
    """
    model, cohort = design.scores.model, design.cohort
    if model is None:
        share = float(cohort.treated.mean())
        leverage = 2 * (1 + len(cohort.covariates.columns)) / (len(cohort) * share * (1 - share))
        return np.full(len(cohort), rules.threshold * leverage)
    reach = np.sqrt(np.einsum("ij,jk,ik->i", model.columns, model.inverse_information, model.columns, optimize=True))
    residual = np.abs(cohort.treated - expit(model.columns @ model.coefficients))
    return np.asarray(rules.threshold * np.bincount(cohort.person_code, reach * residual).max() * reach)


def log_odds_through(name: str, log_odds: float, log_ends: tuple[float, float], pull: float, telling: Held) -> ReleasedNumber:
    """Let a coefficient of a logistic model through.

    Parameters
    ----------
    name : str
        The same in every release.
    log_odds : float
    log_ends : (float, float)
        Of its interval.
    pull : float
        How far one person moves it at most.
    telling : Held

    Returns
    -------
    ReleasedNumber
        The coefficient, not the odds ratio: on this scale one step is as far everywhere.
    """
    step = coarseness(pull, telling.rules)
    if step == 0:
        return telling.number(name, ReleasedNumber("mean", log_odds, *log_ends, seal=SEAL))
    value = round_to(log_odds, step)
    ends = ends_of(value, (log_odds - log_ends[0], log_ends[1] - log_odds), step / 2)
    return telling.magnitude(name, ReleasedNumber("mean", value, *ends, seal=SEAL), step)


def people_step(cohort: Cohort, rules: ReleaseRules) -> float:
    r"""Give what shares of people, and of pairs of a treated and a control, are rounded to.

    Parameters
    ----------
    cohort : Cohort
    rules : ReleaseRules

    Returns
    -------
    float

    Notes
    -----
    One person is in :math:`1/n` of the pairs, and of the people of the own group, n being its number; in a stack of trials as many times as they have
    rows.
    """
    pulls = [np.bincount(cohort.person_code[side]).max(initial=0) / max(int(side.sum()), 1) for side in (cohort.treated, ~cohort.treated)]
    return coarseness(float(max(pulls)), rules)


def effective_through(name: str, comparison: Comparison, telling: Held, *, treated: bool = False, value: float | None = None) -> float:
    """Let the effective number of an arm through, which is no count of people: it says how far the weights can be trusted.

    Parameters
    ----------
    name : str
        The same in every release.
    comparison : Comparison
    telling : Held
    treated : bool
        Which arm.
    value : float, optional
        An effective number of the same people with other weights, which one of them is taken to move as far; left out, Kish's.

    Returns
    -------
    float
        Rounded to the base at the finest.
    """
    weights = comparison.person_weights(treated=treated)
    own = effective_number(weights)
    step = effective_step(weights, telling.rules)
    return step_through(name, own if value is None else value, step, telling)


def effective_step(weights: Floats, rules: ReleaseRules) -> float:
    """Give what the effective number of people with these weights is rounded to: the base at the finest."""
    if rules.exact:
        return 0.0
    own = effective_number(weights)
    rest, squares = weights.sum() - weights, (weights**2).sum() - weights**2
    pulls = np.abs(np.divide(rest**2, squares, out=np.zeros(len(weights)), where=squares > 0) - own)
    return max(float(rules.base), coarseness(float(pulls.max()), rules))


def variation_step(weights: Floats, rules: ReleaseRules) -> float:
    """Give what the coefficient of variation of these weights is rounded to."""
    n, total, squares = len(weights), weights.sum(), (weights**2).sum()
    if rules.exact or n < 2:
        return 0.0

    def variation(people: int, first: Floats, second: Floats) -> Floats:
        return np.asarray(np.sqrt(np.maximum(people * second / first**2 - 1, 0.0)))

    return coarseness(float(np.abs(variation(n - 1, total - weights, squares - weights**2) - variation(n, total, squares)).max()), rules)


def heaviest_step(weights: Floats, rules: ReleaseRules) -> float:
    """Give what the share of the weight on the heaviest hundredth is rounded to: one person takes the own weight with them, and another comes in."""
    return coarseness(float(weights.max() / weights.sum()) * (1 + 1 / HEAVIEST), rules)


def largest_weight_through(name: str, weight: float, telling: Held) -> float:
    """Let the largest of some weights through, which is somebody's own, as a number that none is above.

    Parameters
    ----------
    name : str
        The same in every release.
    weight : float
        1 or more.
    telling : Held

    Returns
    -------
    float
        1 and the smallest of 1, 2 and 5 times a power of ten that reaches it; as it was while it is at most the next one.
    """
    if telling.rules.exact:
        return weight
    bound = 1 + coarseness((weight - 1) / 2, telling.rules)

    def place(one: float) -> float:
        return math.log(max(one - 1, _NOTHING))

    shown = telling.number(name, ReleasedNumber("mean", bound, seal=SEAL), _SOME_FACTOR, scale=place).value
    return bound if shown is None else shown
