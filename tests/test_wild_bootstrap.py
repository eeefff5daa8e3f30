"""The wild bootstrap of few clusters: against every draw there is, and how often it rejects."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import statsmodels.api as sm

from evaluation.analysis.clusters import Clusters
from evaluation.analysis.estimates import Estimate
from evaluation.analysis.wild_bootstrap import wild_cluster_bootstrap

SAME_ARITHMETIC = 1e-10  # sums of the same numbers in another order


# ---- the wild bootstrap of a mean, where everything can be recomputed from the data


def mean_of(values):
    return Estimate("mean", float(values.mean()), (values - values.mean()) / len(values), Clusters.few(np.arange(len(values))), "days", len(values))


def robust(values, team):
    fitted = sm.OLS(values, np.ones(len(values))).fit(cov_type="cluster", cov_kwds={"groups": team})
    return float(fitted.params[0]), float(fitted.bse[0])


@pytest.fixture(scope="module")
def ten_teams():
    rng = np.random.default_rng(6)
    team = np.repeat(np.arange(10), np.arange(2, 12))
    return rng.normal(0.1, 0.5, 10)[team] + rng.normal(size=len(team)), team


@pytest.mark.reference
@pytest.mark.parametrize(
    ("teams", "name", "points"),
    [(10, "rademacher", [-1.0, 1.0]), (4, "webb", [-np.sqrt(1.5), -1.0, -np.sqrt(0.5), np.sqrt(0.5), 1.0, np.sqrt(1.5)])],
)
def test_the_p_value_is_that_of_every_draw_of_whole_teams_in_statsmodels(ten_teams, teams, name, points):
    values, team = ten_teams
    values, team = values[team < teams], team[team < teams]
    found = wild_cluster_bootstrap(mean_of(values), team, replicates=20_000, seed=1)
    value, std_error = robust(values, team)
    assert (found.value, found.std_error, found.multipliers) == (pytest.approx(value), pytest.approx(std_error), name)
    t = [np.divide(*robust(np.array(draw)[team] * values, team)) for draw in product(points, repeat=teams)]
    exact = (np.abs(t) >= abs(value / std_error) - SAME_ARITHMETIC).mean()
    assert 0.01 < exact < 0.5
    assert found.p_value == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 20_000))


@pytest.mark.property
@pytest.mark.parametrize("teams", [6, 10])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_the_interval_holds_what_the_test_does_not_reject(ten_teams, teams, level):
    values, team = ten_teams
    values, team = values[team >= 10 - teams], team[team >= 10 - teams]

    def wild(shift):
        return wild_cluster_bootstrap(replace(mean_of(values - shift), level=level), team, replicates=999, seed=1)

    found, limit = wild(0), {0.9: 0.1, 0.95: 0.05}[level]
    assert wild(found.low - 1e-6).p_value <= limit < wild(found.low + 1e-6).p_value
    assert wild(found.high + 1e-6).p_value <= limit < wild(found.high - 1e-6).p_value
    assert found.low < found.value < found.high
    assert found.multipliers == ("webb" if teams < 10 else "rademacher")


@pytest.mark.hand
def test_a_group_the_estimate_does_not_rest_on_is_no_cluster(ten_teams):
    values, team = ten_teams
    alone = wild_cluster_bootstrap(mean_of(values), team, replicates=99, seed=1)
    estimate = mean_of(values)
    wider = replace(estimate, influence=np.append(estimate.influence, np.zeros(5)))
    assert wild_cluster_bootstrap(wider, np.append(team, [77] * 5), replicates=99, seed=1) == alone


@pytest.mark.property
def test_a_score_whose_influences_sum_to_its_value_has_the_same_test(ten_teams):
    values, team = ten_teams
    centred = mean_of(values)
    score = replace(centred, influence=values / len(values))
    found, expected = (wild_cluster_bootstrap(estimate, team, replicates=199, seed=1) for estimate in (score, centred))
    assert (found.std_error, found.p_value) == pytest.approx((expected.std_error, expected.p_value))
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


@pytest.mark.hand
def test_two_teams_reject_nothing():
    """Of two teams' multipliers a sixth are equal, which repeats the data: no value is rare."""
    found = wild_cluster_bootstrap(mean_of(np.array([4.0, 5.0, 6.0, 7.5])), [1, 1, 2, 2], replicates=999, seed=1)
    assert (found.low, found.high) == (-np.inf, np.inf)
    assert found.p_value > 1 / 6 - 4 * np.sqrt(5 / 36 / 999)


@pytest.mark.recovery
def test_six_teams_of_different_size_are_rejected_as_rarely_as_claimed_and_by_the_normal_interval_too_often():
    rng, studies = np.random.default_rng(40), 800
    team = np.repeat(np.arange(6), np.arange(3, 9))
    wild, plain = 0, 0
    for seed in range(studies):
        estimate = mean_of(rng.normal(size=6)[team] + rng.normal(size=len(team)))
        wild += wild_cluster_bootstrap(estimate, team, replicates=199, seed=seed).p_value <= 0.05
        plain += estimate.cluster(team).p_value <= 0.05
    chance = 3 * np.sqrt(0.05 * 0.95 / studies)
    assert abs(wild / studies - 0.05) < chance
    assert plain / studies > 0.05 + 2 * chance
