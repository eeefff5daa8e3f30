r"""How far does everybody's influence reach, where the weights themselves were estimated from these people?

Who counts a little more moves the participation model, the model moves the weights, and the weights move the estimate. With the model's estimating
equation stacked on the estimate's own this is the sandwich of M-estimation, person by person; what is scaled to a sum moves with the sum as well.

References
----------
Lunceford & Davidian (2004). Stratification and weighting via the propensity score in estimation of causal treatment effects. Statistics in Medicine
23(19), 2937-2960.
Stefanski & Boos (2002). The calculus of M-estimation. American Statistician 56(1), 29-38.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import csr_array, hstack, vstack

from evaluation.design.cohort import Bools, Floats
from evaluation.design.comparison import WeightModel


@dataclass(frozen=True, eq=False)
class EstimatedWeights:
    """The weights of the compared rows, and how they move when anybody weighs a little more.

    Attributes
    ----------
    model : WeightModel, of u compared rows among v
    weight : ndarray of float, shape (u,)
    treated : ndarray of bool, shape (u,)
    """

    model: WeightModel
    weight: Floats
    treated: Bools

    @cached_property
    def _scaling(self) -> tuple[csr_array, csr_array]:
        """Give, shape (strata, u), each control's part in its stratum's mean pull and, shape (u, strata), how that pulls at everybody in it."""
        stratum, people = self.model.stratum, np.arange(len(self.weight))
        total = np.bincount(stratum, self.weight * self.treated)  # of its controls too
        means = csr_array((~self.treated / total[stratum], (stratum, people)))
        return means, csr_array((np.where(self.treated, self.weight, -self.weight), (people, stratum)))

    def carried(self, influence: Floats) -> Floats:
        r"""Add to the influence on an estimate what reaches it through the weights.

        Parameters
        ----------
        influence : ndarray of float, shape (u,) or (u, k)
            Weight times derivative by the weight, for each compared row.

        Returns
        -------
        ndarray of float, shape (v,) or (v, k)

        Notes
        -----
        With :math:`\phi_k` the influence, :math:`\Phi` its sum over everybody and :math:`\Phi_s` over the controls of stratum s, what counts is the
        derivative by the logarithm of the weight before scaling: :math:`c_j = \phi_j - w_j \Phi_s / W_s` for a control,
        :math:`c_j = \phi_j + w_j (\Phi_s / W_s - \Phi / n_1)` for a treated, who carry the sum :math:`W_s` the controls are scaled to. The whole
        influence of row i is then :math:`c_i + 1\{treated\} \Phi / n_1 + r_i x_i' V \sum_j x_j a_j c_j`.
        """
        model, compared = self.model, len(self.weight)
        flat = influence.reshape(compared, -1)
        means, pull = self._scaling
        of_all = flat.sum(axis=0) / self.treated.sum()
        own = flat + pull @ (means @ flat) - np.outer(self.weight * self.treated, of_all)
        moved = model.columns[:compared].T @ (model.slope[:, None] * own)
        whole = model.residual[:, None] * (model.columns @ (model.inverse_information @ moved))
        whole[:compared] += own + np.outer(self.treated, of_all)
        return np.asarray(whole.reshape(len(whole), *influence.shape[1:]), dtype=np.float64)

    @cached_property
    def passage(self) -> tuple[csr_array, Floats, csr_array]:
        """Give `carried` in three parts, for influences that sum to 0: of shapes (u, k), (k, k) and (v, k), such that it adds C (A B)' influence.

        There is a column for each stratum and for each of the model's; A and C are as good as empty in the former.
        """
        model, compared = self.model, len(self.weight)
        means, pull = self._scaling
        sliding = csr_array(model.columns[:compared] * model.slope[:, None])
        several, q = means.shape[0], model.columns.shape[1]
        turn = np.eye(several + q)
        turn[:several, several:] = (pull.T @ sliding).toarray()
        turn[:, several:] = turn[:, several:] @ model.inverse_information
        nobody = csr_array((len(model.rows) - compared, several))
        residual = csr_array(model.columns * model.residual[:, None])
        return csr_array(hstack([means.T, sliding])), turn, csr_array(hstack([vstack([pull, nobody]), residual]))
