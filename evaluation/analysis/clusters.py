"""Which people vary together, and which variance follows from that?

The variance under any dependence is the sum over clusters of the squared cluster sums of the influences. People matched together form a set; a person
may serve in several sets. The two-way variance adds both ways of clustering and takes away what is counted twice.

References
----------
Cameron, Gelbach & Miller (2011). Robust inference with multiway clustering. JBES 29(2), 238-249.
Austin & Cafri (2020). Variance estimation when using propensity-score matching with replacement with survival or time-to-event outcomes.
Statistics in Medicine 39(11), 1623-1640.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array

from evaluation.analysis.estimated_weights import EstimatedWeights
from evaluation.design.cohort import Floats
from evaluation.design.comparison import Comparison
from evaluation.errors import EstimationError

Codes = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Clusters:
    """Which people vary together.

    Attributes
    ----------
    member : ndarray of int, shape (k,)
        Position of each membership's person among the u compared people, followed by those who only had a part in the weights.
    code : ndarray of int, shape (k,)
        The set of each membership, sorted, numbered from 0.
    share : ndarray of float, shape (k,)
        Part of the weight that lies in this membership; 1 for who is in one set.
    person : ndarray of int, shape (u,), or None
        The person of each such row of a stack of trials, numbered from 0; None where each has one row.
    factor : float
        Small-sample factor; 1 for sets and persons, G / (G - 1) where clusters are few.
    weights : EstimatedWeights or None
        None where the weights count as given.
    """

    member: Codes
    code: Codes
    share: Floats
    person: Codes | None = None
    factor: float = 1.0
    weights: EstimatedWeights | None = None

    @classmethod
    def of(cls, comparison: Comparison) -> Clusters:
        """Take the sets and persons of a comparison; who only had a part in the weights is a set of their own."""
        rows, model = comparison.rows, comparison.weight_model
        position = np.zeros(len(comparison.weights), dtype=np.intp)
        position[rows] = np.arange(len(rows))
        member, code, weights = position[comparison.member_row], comparison.member_set, None
        share = comparison.member_weight / comparison.weights[comparison.member_row]
        if model is not None:
            weights = EstimatedWeights(model, comparison.weights[rows], comparison.treated[rows])
            others = np.arange(len(rows), len(model.rows))
            member, share = np.append(member, others), np.append(share, np.ones(len(others)))
            code, rows = np.append(code, comparison.n_sets + others - len(rows)), model.rows
        # in the order of the hash: a sum over persons must not depend on the order of the table
        person = pd.factorize(comparison.person_code[rows])[0]
        repeated = len(person) > 0 and int(person.max()) + 1 < len(person)
        return cls(member, code, share, person if repeated else None, weights=weights)

    @classmethod
    def few(cls, ids: ArrayLike, weights: EstimatedWeights | None = None) -> Clusters:
        """Cluster the compared people by a coarse id such as a team; fewer than two clusters have no variance."""
        others = 0 if weights is None else len(weights.model.rows) - len(weights.weight)
        if others:
            raise EstimationError(
                f"clusters: {others} people who are not compared had a part in the weights and have no cluster; "
                "take them out of the cohort and estimate the scores of the others anew"
            )
        code = np.unique(np.asarray(ids), return_inverse=True)[1]
        count = int(code.max()) + 1
        if count < 2:
            raise EstimationError("clusters: at least two are needed to see how they vary; give ids that differ")
        order = np.argsort(code, kind="stable")
        return cls(order, code[order], np.ones(len(order)), factor=count / (count - 1), weights=weights)

    def same_as(self, other: Clusters) -> bool:
        """Say whether others are of the same memberships, and so of the same comparison, though they were made in another call."""
        pairs = ((self.member, other.member), (self.code, other.code), (self.share, other.share))
        return self is other or (self.factor == other.factor and all(np.array_equal(one, theirs) for one, theirs in pairs))

    @cached_property
    def nested(self) -> bool:
        """Whether every person is in one cluster only, so that clustering by set already covers the person."""
        return self.person is None and bool((self.share == 1).all())

    @cached_property
    def _by_person(self) -> tuple[Codes, Codes]:
        """Give the compared rows in the order of their person, and where each person begins."""
        assert self.person is not None
        order = np.argsort(self.person, kind="stable")
        return order, np.flatnonzero(np.append(True, np.diff(self.person[order]) > 0))

    def _of_persons(self, influence: Floats) -> Floats:
        """Sum the influence over each person's rows."""
        if self.person is None:
            return influence
        order, starts = self._by_person
        return np.asarray(np.add.reduceat(influence[order], starts, axis=0), dtype=np.float64)

    @cached_property
    def _starts(self) -> Codes:
        return np.flatnonzero(np.append(True, self.code[1:] != self.code[:-1]))

    def spread(self, columns: csr_array) -> csr_array:
        """Give what columns of shape (v, k) are multiplied by from the left, as influences, to give their covariances; shape (v, k)."""
        people = np.arange(columns.shape[0])
        sets = csr_array((self.share, (self.code, self.member)), shape=(int(self.code.max()) + 1, len(people)))
        total = sets.T @ (sets @ columns)
        if not self.nested:
            persons = csr_array((np.ones(len(people)), (people if self.person is None else self.person, people)))
            each = csr_array((self.share, (np.arange(len(self.member)), self.member)), shape=(len(self.member), len(people)))
            total = total + persons.T @ (persons @ columns) - each.T @ (each @ columns)
        return csr_array(total * self.factor)

    def covariance(self, influence: Floats) -> Floats:
        """Give the covariance of several estimates.

        Parameters
        ----------
        influence : ndarray of float, shape (u, q)

        Returns
        -------
        ndarray of float, shape (q, q)
        """
        influence = influence if self.weights is None else self.weights.carried(influence)
        part = influence[self.member] * self.share[:, None]
        by_set = np.add.reduceat(part, self._starts, axis=0)
        total = by_set.T @ by_set
        if not self.nested:
            whole = self._of_persons(influence)
            total = total + whole.T @ whole - part.T @ part
        return np.asarray(total * self.factor, dtype=np.float64)

    def variance(self, influence: Floats) -> float:
        """Give the variance of one estimate, influence of shape (u,)."""
        influence = influence if self.weights is None else self.weights.carried(influence)
        part = influence[self.member] * self.share
        by_set = np.add.reduceat(part, self._starts)
        total = float(by_set @ by_set)
        if not self.nested:
            whole = self._of_persons(influence)
            total += float(whole @ whole - part @ part)
        return max(total, 0.0) * self.factor  # below 0 only where people treated now were controls before and nearly all cancels
