r"""How likely was each to start, by trees that have not seen them?

Boosted trees find bends and crossings nobody wrote down, and learn people by heart. So everybody's score comes from trees grown on other people: the
people are dealt into folds, and the trees for one fold are grown on the others. The deal hangs on the hash of the person's id, not on the order of
rows, and one thread takes all sums in one order.

The price: such scores have no coefficients, and their own uncertainty is in no interval. What is estimated from them is shown as if they were known.

References
----------
McCaffrey, Ridgeway & Morral (2004). Propensity score estimation with boosted regression for evaluating causal effects in observational studies.
Psychological Methods 9(4), 403-425.
Chernozhukov et al. (2018). Double/debiased machine learning for treatment and structural parameters. Econometrics Journal 21(1), C1-C68
(cross-fitting).
"""

from __future__ import annotations

import numpy as np
from scipy.special import logit
from threadpoolctl import threadpool_limits

from evaluation.design.cohort import Bools, Cohort, Floats, Rows, count_people
from evaluation.errors import DesignError

FARTHEST_ODDS = 1000.0  # times the average odds, or as small a part of them: a leaf of 20 people cannot tell more extreme odds from these
_FEWEST_FOLDS = 2


def boosted_logits(cohort: Cohort, columns: Floats, *, folds: int, seed: int, trees: int, depth: int, learning_rate: float) -> Floats:
    """Give the logit of each row's probability of treatment, from trees grown on other people.

    Parameters
    ----------
    cohort : Cohort, n rows
    columns : ndarray of float, shape (q, n)
        What the trees may split on.
    folds : int
        Parts the people are dealt into.
    seed : int
        Of the deal.
    trees, depth : int
        How many trees, and how many splits lie on the way to a leaf at most.
    learning_rate : float
        Share of each tree's answer that is believed.

    Returns
    -------
    ndarray of float, shape (n,)
        No farther from the logit of the share of treated than the logarithm of `FARTHEST_ODDS`, so that every probability lies between 0 and 1.

    Raises
    ------
    DesignError
        If some fold has no treated or no control; says how many folds can be filled.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier  # heavy, and only where a plan asks for trees

    fold = deal_folds(cohort, folds, seed)
    probability = np.empty(len(cohort))
    with threadpool_limits(1):
        for number in range(folds):
            inside, others = cohort.order[fold[cohort.order] == number], cohort.order[fold[cohort.order] != number]
            model = HistGradientBoostingClassifier(
                max_iter=trees, max_depth=depth, learning_rate=learning_rate, early_stopping=False, random_state=seed
            ).fit(columns[:, others].T, cohort.treated[others])
            probability[inside] = model.predict_proba(columns[:, inside].T)[:, 1]
    average, reach = logit(cohort.treated[cohort.order].mean()), np.log(FARTHEST_ODDS)
    return np.asarray(np.clip(logit(probability), average - reach, average + reach), dtype=np.float64)


def deal_folds(cohort: Cohort, folds: int, seed: int) -> Rows:
    """Deal the people into folds, all rows of a person into one, those who are ever treated and the others evenly.

    Parameters
    ----------
    cohort : Cohort, n rows
    folds : int
    seed : int

    Returns
    -------
    ndarray of int, shape (n,)
        Each row's fold, from 0.

    Raises
    ------
    DesignError
        If some fold has no treated or no control row.
    """
    fold = _dealt(cohort, folds, seed)
    if _filled(cohort.treated, fold, folds):
        return fold
    fewer = next((count for count in range(folds - 1, _FEWEST_FOLDS - 1, -1) if _filled(cohort.treated, _dealt(cohort, count, seed), count)), None)
    people = [count_people(cohort.person_code[side]) for side in (cohort.treated, ~cohort.treated)]
    raise DesignError(
        f"participation model: each of the {folds} folds needs a treated and a control; there are {people[0]} treated and {people[1]} controls; "
        + (f"take folds = {fewer}" if fewer else 'take method = "logistic"')
    )


def _dealt(cohort: Cohort, folds: int, seed: int) -> Rows:
    person = cohort.person_code
    count = int(person.max()) + 1
    name = np.full(count, np.iinfo(np.uint64).max)
    np.minimum.at(name, person, cohort.tiebreak)  # in a stack a row's hash is of person and trial; the least of them is the person's own
    ever = np.zeros(count, dtype=bool)
    ever[person[cohort.treated]] = True
    shuffled = np.random.default_rng(seed).permutation(np.argsort(name))
    fold = np.empty(count, dtype=np.intp)
    for side in (shuffled[ever[shuffled]], shuffled[~ever[shuffled]]):
        fold[side] = np.arange(len(side)) % folds
    return fold[person]


def _filled(treated: Bools, fold: Rows, folds: int) -> bool:
    """Say whether every fold has both sides."""
    return all(len(np.unique(fold[side])) == folds for side in (treated, ~treated))
