r"""How much does everybody weigh when people are drawn again, and the participation model and the comparison are made anew?

A draw is a number of times each person is there. In general its people are copied out and go the whole way through the public functions. Where a
logistic model, pairs and the propensity are all there is to the design, nobody need be copied: the model is fitted with the numbers as weights,

.. math:: \max_\beta \sum_i c_i \left(t_i \eta_i - \log(1 + e^{\eta_i})\right),

from the coefficients of the whole cohort on, and the greedy engine is given each row as often as it was drawn. Both ways end in the same weights (a
test holds them together).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.special import expit

from evaluation.design.cohort import Cohort, Floats, Rows
from evaluation.design.designs import AnyDesign, make_comparison
from evaluation.design.logistic import maximise_likelihood
from evaluation.design.matching import MatchingSpec
from evaluation.design.nearest import nearest_pairs
from evaluation.design.pair_rules import PairSearch, prepare_search
from evaluation.design.propensity import PropensityModel, PropensitySpec, estimate_propensity
from evaluation.errors import DesignError, InputError, NobodyMatchedError, SeparationError

_BLOCK_ROWS = 8192  # rows per pass: a block of a dozen columns stays in the processor's cache
_WORST_CONDITION = 1e8  # of the information on standardised columns: beyond it a column hardly varies among those drawn, and the long way names it


@dataclass(frozen=True, eq=False)
class Redrawing:
    """A cohort to be drawn from; its rows in the order of their hash, so that no shuffling of the table moves a draw.

    Attributes
    ----------
    cohort : Cohort, n rows
    person : ndarray of int, shape (n,)
        The person of each row, numbered in that order.
    propensity : PropensitySpec
    design : AnyDesign
    quick : QuickPairs or None
        The way without copies, where there is one.
    """

    cohort: Cohort
    person: Rows
    propensity: PropensitySpec
    design: AnyDesign
    quick: QuickPairs | None

    @classmethod
    def of(cls, cohort: Cohort, propensity: PropensitySpec, design: AnyDesign) -> Redrawing:
        """Prepare the draws; `cohort` comes in the order of its hash."""
        person = np.asarray(pd.factorize(cohort.person_code)[0], dtype=np.intp)
        return cls(cohort, person, propensity, design, QuickPairs.of(cohort, propensity, design))

    @property
    def persons(self) -> int:
        """How many people there are to draw."""
        return int(self.person.max()) + 1

    def weighed_anew(self, stream: np.random.SeedSequence) -> tuple[Floats, Floats] | str:
        """Give each row's weight in a draw, and how many of its copies are compared, shapes (n,); or why nobody can be."""
        drawn = np.random.default_rng(stream).integers(0, self.persons, self.persons)
        times = np.bincount(drawn, minlength=self.persons)[self.person]
        if self.quick is not None and (pairs := self.quick.pairs(self.cohort, times)) is not None:
            count = np.bincount(pairs, minlength=len(times)).astype(np.float64)
            return count, count
        try:
            return self.by_copies(times)
        except SeparationError:
            return "something decides participation alone"
        except NobodyMatchedError:
            return "nobody found a counterpart"
        except (DesignError, InputError):
            return "the model or the comparison cannot be made"

    def by_copies(self, times: Rows) -> tuple[Floats, Floats]:
        """Copy every row out as often as it was drawn, `times` of shape (n,), and let the copies go through the public functions."""
        rows = np.repeat(np.arange(len(times), dtype=np.intp), times)
        copy = np.arange(len(rows)) - np.repeat(np.cumsum(times) - times, times)
        people = self.cohort.take(rows)
        people = replace(people, person=pd.Index(self.person[rows] + self.persons * copy))  # a copy is a person of its own, with the same hash
        comparison = make_comparison(people, estimate_propensity(people, self.propensity), self.design)
        weights = np.asarray(np.bincount(rows, comparison.weights, minlength=len(times)), dtype=np.float64)
        return weights, np.bincount(rows[comparison.weights > 0], minlength=len(times)).astype(np.float64)


@dataclass(frozen=True, eq=False)
class QuickPairs:
    """Pairs on the propensity, without a copy of anybody.

    Attributes
    ----------
    model : PropensityModel
        Of the whole cohort.
    design : ndarray of float, shape (q, n)
        Its columns, standardised, the intercept first.
    mean, scale : ndarray of float, shape (q,)
        What they were standardised by; 0 and 1 for the intercept.
    search : PairSearch
    spec : MatchingSpec
    """

    model: PropensityModel
    design: Floats
    mean: Floats
    scale: Floats
    search: PairSearch
    spec: MatchingSpec

    @classmethod
    def of(cls, cohort: Cohort, propensity: PropensitySpec, design: AnyDesign) -> QuickPairs | None:
        """Prepare the quick way; None where the model or the design asks for more than it does."""
        plain = propensity.method == "logistic" and propensity.formula is None and not propensity.penalty
        if not plain or not isinstance(design, MatchingSpec) or design.ratio > 1 or design.replace or design.max_trials is not None:
            return None
        if design.order in ("data", "random"):
            return None
        scores = estimate_propensity(cohort, propensity)
        search = prepare_search(cohort, scores, design)
        if scores.model is None or not search.by_position:
            return None
        columns = np.ascontiguousarray(scores.model.columns.T)
        mean, scale = columns.mean(axis=1), columns.std(axis=1)
        mean[0], scale[0] = 0.0, 1.0
        return cls(scores.model, (columns - mean[:, None]) / scale[:, None], mean, scale, search, design)

    def pairs(self, cohort: Cohort, times: Rows) -> Rows | None:
        """Give the rows of both members of every pair among people drawn `times`, shape (n,); None where the long way must be gone."""
        logit = self._logits(cohort, times.astype(np.float64))
        if logit is None:
            return None
        position = expit(logit) if self.spec.scale == "score" else logit
        count = int(times.sum())
        centred = position - float(times @ position) / count
        spread = float(np.sqrt(times @ centred**2 / (count - 1)))
        treated, control = nearest_pairs(
            cohort,
            np.repeat(np.arange(len(times), dtype=np.intp), times),
            position,
            self.search.stratum,
            ratio=1,
            capacity=1,
            caliper=None if self.spec.caliper_sd is None else self.spec.caliper_sd * spread,
            order=self.spec.order,
            seed=None,
        )
        return np.concatenate([treated, control]) if len(treated) else None

    def _logits(self, cohort: Cohort, times: Floats) -> Floats | None:
        """Fit the model with the numbers as weights; None without a maximum, or with none or all of the drawn treated."""
        side = cohort.treated
        if not 0 < times @ side < times.sum():
            return None
        beta = self.model.coefficients
        start = np.append(beta[0] + beta[1:] @ self.mean[1:], beta[1:] * self.scale[1:])
        maximum = maximise_likelihood(lambda at: _derivatives(self.design, side.astype(np.float64), times, at), start)
        size = np.sqrt(np.diag(maximum.information))
        if not maximum.converged or not size.all() or np.linalg.cond(maximum.information / np.outer(size, size)) > _WORST_CONDITION:
            return None
        slopes = maximum.beta[1:] / self.scale[1:]
        logit = np.full(len(times), maximum.beta[0] - slopes @ self.mean[1:])
        for column, slope in zip(self.model.columns.T[1:], slopes, strict=True):  # column by column: equal people get equal bits wherever they stand
            logit += column * slope
        return logit


def _derivatives(design: Floats, treated: Floats, times: Floats, beta: Floats) -> tuple[float, Floats, Floats]:
    """Give the log-likelihood of people counted `times`, its gradient and the information."""
    likelihood, gradient, information = 0.0, np.zeros(len(beta)), np.zeros((len(beta), len(beta)))
    for start in range(0, design.shape[1], _BLOCK_ROWS):
        block, side, count = (array[..., start : start + _BLOCK_ROWS] for array in (design, treated, times))
        linear = beta @ block
        fitted = expit(linear)
        likelihood += float(count @ (side * linear - np.logaddexp(0.0, linear)))
        gradient += block @ (count * (side - fitted))
        information += (block * (count * fitted * (1 - fitted))) @ block.T
    return likelihood, gradient, information
