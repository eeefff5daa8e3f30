"""In which order are people summed over, whatever order they came in?

Floating-point sums depend on the order of their terms. A hash of what a row says, and for equal rows one of who it is, gives an order that no
shuffling of the table moves.

References
----------
Knuth (1998). The Art of Computer Programming 3: Sorting and Searching, 2nd ed., section 6.4 (multiplicative hashing).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]

_MIXER = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: spreads neighbouring values over all 64 bits (Knuth, TAOCP 3, 6.4)


def ordered(first: NDArray[Any], then: Hashes) -> NDArray[np.intp]:
    """Give the order of `first`, its ties in the order of `then`; the two-key sort only where `first` ties."""
    order = np.argsort(first)
    value = first[order]
    same = value[1:] == value[:-1]
    if same.any():
        tied = np.flatnonzero(np.append(same, False) | np.insert(same, 0, False))
        order[tied] = order[tied][np.lexsort((then[order[tied]], value[tied]))]
    return order


def name_hash(ids: pd.Index, trial: pd.Index | None = None) -> Hashes:
    """Hash who each row is, shape (n,): its person, and in a stack its trial."""
    return _hash_values(ids) if trial is None else _hash_values(ids) ^ (_hash_values(trial) * _MIXER)


def content_hash(covariates: pd.DataFrame, treated: NDArray[np.bool_]) -> Hashes:
    """Hash what each row says, shape (n,), whatever it is called: its side and its covariates."""
    mixed = treated.astype(np.uint64)
    for _, column in covariates.items():
        values = column.cat.codes.to_numpy(dtype=np.float64) if isinstance(column.dtype, pd.CategoricalDtype) else column.to_numpy(dtype=np.float64)
        mixed = (mixed ^ values.view(np.uint64)) * _MIXER
        mixed ^= mixed >> np.uint64(29)
    return mixed


def _hash_values(ids: pd.Index) -> Hashes:
    values = ids.to_numpy()
    if values.dtype == object:
        values = values.astype(str).astype(object)
    return pd.util.hash_array(values, categorize=False)
