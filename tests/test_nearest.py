"""The greedy engine by itself: crowds too large for a search that forgets everything, held to the whole matrix of distances."""

import math

import numpy as np
import pandas as pd
import pytest

from evaluation.design.cohort import Cohort, cohort_from_table
from evaluation.design.nearest import nearest_pairs

N_TREATED, N_CONTROL = 150, 350
EVERYBODY = np.arange(N_TREATED + N_CONTROL)
REUSE = {"once": 1, "thrice": 3, "again": None}


def crowd(seed: int, place: str) -> tuple[Cohort, np.ndarray]:
    """Give people on places without ties, on a few dozen places, or the treated on a few and the controls between them."""
    rng = np.random.default_rng(seed)
    treated = rng.permutation(np.repeat([1, 0], [N_TREATED, N_CONTROL]))
    free = rng.normal(size=len(treated)) + treated
    tied = np.round(free * 8) / 8
    frame = pd.DataFrame({"person": rng.permutation(len(treated)), "t": treated, "x": free})
    cohort = cohort_from_table(frame, treated="t", covariates=["x"], person="person")
    return cohort, {"untied": free, "tied": tied, "treated tied": np.where(treated == 1, tied, free)}[place]


def by_whole_matrix(
    cohort: Cohort,
    rows: np.ndarray,
    position: np.ndarray,
    stratum: np.ndarray,
    *,
    ratio: int,
    capacity: int | None,
    caliper: float | None,
    order: str,
    seed: int | None,
) -> list[tuple[int, int]]:
    """Look for the smallest entry of the matrix, again and again; rows and columns stand by hash, so the first of equals is the right one."""
    by_name = rows[np.argsort(cohort.tiebreak[rows])]
    treated, control = by_name[cohort.treated[by_name]], by_name[~cohort.treated[by_name]]
    distance = np.abs(position[treated][:, None] - position[control])
    distance[(stratum[treated][:, None] != stratum[control]) | (distance > (math.inf if caliper is None else caliper))] = math.inf
    turns = {
        "largest": np.argsort(-position[treated], kind="stable"),
        "smallest": np.argsort(position[treated], kind="stable"),
        "data": np.argsort(treated),
        "random": np.random.default_rng(seed).permutation(len(treated)),
    }
    served = np.zeros(len(control))
    pairs = []
    for _ in range(ratio):
        open_now = np.where(served < (capacity or math.inf), distance, math.inf)
        for turn in turns.get(order, np.zeros(len(treated), dtype=int)):
            one = int(np.argmin(open_now.min(axis=1))) if order == "closest" else turn
            other = int(np.argmin(open_now[one]))
            if not math.isfinite(open_now[one, other]):
                continue
            pairs.append((treated[one], control[other]))
            served[other] += 1
            distance[one, other] = math.inf
            open_now[one] = math.inf
            if served[other] == capacity:
                open_now[:, other] = math.inf
    return pairs


@pytest.mark.property
@pytest.mark.parametrize("capacity", REUSE.values(), ids=REUSE)
@pytest.mark.parametrize("place", ["untied", "tied", "treated tied"])
@pytest.mark.parametrize("order", ["closest", "largest", "smallest", "data", "random"])
def test_a_crowd_is_paired_in_the_order_in_which_the_whole_matrix_says(order: str, place: str, capacity: int | None) -> None:
    for seed, (ratio, caliper, strata) in enumerate([(1, None, 1), (3, None, 1), (1, 0.25, 1), (2, 0.25, 4), (2, None, 300)]):
        cohort, position = crowd(seed, place)
        stratum = np.random.default_rng(seed).integers(0, strata, len(cohort))
        asked = {"ratio": ratio, "capacity": capacity, "caliper": caliper, "order": order, "seed": seed}
        found = nearest_pairs(cohort, EVERYBODY, position, stratum, **asked)
        assert list(zip(*found, strict=True)) == by_whole_matrix(cohort, EVERYBODY, position, stratum, **asked)


@pytest.mark.property
@pytest.mark.parametrize("order", ["closest", "largest"])
def test_whoever_may_not_be_paired_is_as_if_they_were_not_there(order: str) -> None:
    cohort, position = crowd(1, "tied")
    rows = EVERYBODY[np.random.default_rng(2).random(len(cohort)) < 0.5]
    asked = {"ratio": 2, "capacity": 1, "caliper": 0.5, "order": order, "seed": None}
    found = nearest_pairs(cohort, rows, position, np.zeros(len(cohort), dtype=np.intp), **asked)
    assert set(np.concatenate(found)) <= set(rows)
    assert list(zip(*found, strict=True)) == by_whole_matrix(cohort, rows, position, np.zeros(len(cohort)), **asked)


@pytest.mark.hand
@pytest.mark.parametrize("order", ["closest", "largest"])
def test_nobody_is_paired_where_no_stratum_is_shared_or_nobody_is_near(order: str) -> None:
    cohort, position = crowd(1, "untied")
    asked = {"ratio": 2, "capacity": 1, "order": order, "seed": None}
    for stratum, where, caliper in ((cohort.treated.astype(np.intp), position, None), (0 * EVERYBODY, 10 * cohort.treated + 0.0, 1.0)):
        treated, control = nearest_pairs(cohort, EVERYBODY, where, stratum, caliper=caliper, **asked)
        assert len(treated) == len(control) == 0


@pytest.mark.hand
@pytest.mark.parametrize("order", ["closest", "largest", "smallest", "data"])
def test_the_last_controls_are_found_on_either_side(order: str) -> None:
    """All the controls are used up, many by people far beyond them: the way leads over every used-up place to both ends."""
    cohort, position = crowd(3, "untied")
    rows = np.concatenate([np.flatnonzero(cohort.treated), np.flatnonzero(~cohort.treated)[:N_TREATED]])
    treated, control = nearest_pairs(cohort, rows, position, 0 * EVERYBODY, ratio=2, capacity=1, caliper=None, order=order, seed=None)
    assert sorted([*treated, *control]) == sorted(rows)
