"""Three ledgers: what one more exit cost, who paid, what remains when transfers cancel; an interval only where there is one."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.special import ndtri

from evaluation.analysis.clusters import Clusters
from evaluation.analysis.costs import (
    ACTORS,
    Actor,
    Budget,
    BudgetPart,
    Costs,
    CostSpec,
    Price,
    Quantity,
    estimate_costs,
)
from evaluation.analysis.estimates import Estimate, Unit
from evaluation.analysis.goals import Words
from evaluation.analysis.means import Contrast, Occupancy, Totals
from evaluation.analysis.quotients import Quotient, divide_by_effect
from evaluation.errors import EstimationError

ROUNDING = 1e-9  # relative: the order of a handful of sums
PEOPLE = 400
OWN = Clusters(np.arange(PEOPLE), np.arange(PEOPLE), np.ones(PEOPLE))


def words(text: str) -> Words:
    return Words(sv=text, en=text)


def estimate(value: float, error: float = 0.0, *, unit: Unit = "sek", seed: int = 0, clusters: Clusters = OWN) -> Estimate:
    influence = np.random.default_rng(seed).normal(size=PEOPLE)
    return Estimate("number", value, influence * error / np.sqrt(influence @ influence), clusters, unit, n=PEOPLE)


def budget(sek: float = 69e6, participants: int = 4_000, payer: Actor = "eu", year: int = 2022) -> Budget:
    return Budget(
        name=words("account"), parts=(BudgetPart(payer=payer, sek=sek),), participants=participants, price_year=year, source=words("decision")
    )


def price(quantity: Quantity, sek: float, payer: Actor | None, receiver: Actor | None) -> Price:
    return Price(name=words(quantity), quantity=quantity, sek=sek, payer=payer, receiver=receiver, source=words("table"))


def spec(*prices: Price, budgets: tuple[Budget, ...] = (budget(),), tax_factor: float | None = None) -> CostSpec:
    return CostSpec(price_year=2022, budgets=budgets, prices=prices, tax_factor=tax_factor)


def totals(**differences: Estimate) -> Totals:
    return Totals({name: Contrast(gap, gap, gap) for name, gap in differences.items()})


def ledgers(asked: CostSpec, *, points: float = 0.08, error: float = 0.01, **differences: Estimate) -> Costs:
    effect, share = estimate(points, error, unit="probability", seed=1), estimate(0.5, 0.01, unit="probability", seed=2)
    return estimate_costs(effect, share, asked, totals(**differences))


# --- the first ledger


@pytest.mark.hand
@pytest.mark.parametrize(("points", "sek"), [(0.05, 345_000), (0.08, 215_625), (0.15, 115_000)])
def test_an_additional_exit_costs_what_a_calculator_says(points: float, sek: float) -> None:
    found = ledgers(spec(), points=points).per_exit[0]  # 69 million for 4,000: 17,250 each
    assert found.spending_sek == 17_250
    assert found.spending_per_additional.value == pytest.approx(sek, rel=ROUNDING)
    assert found.net_per_additional == found.spending_per_additional  # where nothing else is priced
    assert found.per_gross_exit_sek == 34_500  # half of them left


@pytest.mark.hand
def test_contradicting_accounts_all_stand() -> None:
    accounts = budget(44.4e6, 4_000), budget(44.4e6, 3_500), budget(69e6, 5_600)
    found = ledgers(spec(budgets=accounts))
    assert [one.budget for one in found.per_exit] == list(accounts)
    assert [round(one.spending_sek) for one in found.per_exit] == [11_100, 12_686, 12_321]


@pytest.mark.hand
def test_the_net_cost_takes_off_what_public_actors_no_longer_pay_and_adds_what_they_pay_more() -> None:
    prices = (
        price("ordinary", 3_000, "state", None),  # replaced: 3,000 saved
        price("sick_days", 500, "state", "individual"),  # 2 days more: 1,000 paid
        price("assistance_months", 8_000, "municipality", "individual"),  # a quarter of a month less: 2,000 saved
        price("earnings_sek", 0.3, "individual", "municipality"),  # tax is no public payment, and is not taken off
    )
    found = ledgers(spec(*prices), sick_days=estimate(2), assistance_months=estimate(-0.25), earnings_sek=estimate(10_000))
    assert found.per_exit[0].net.value == pytest.approx(17_250 - 3_000 + 1_000 - 2_000, rel=ROUNDING)
    assert found.per_exit[0].net_per_additional.value == pytest.approx(13_250 / 0.08, rel=ROUNDING)
    assert found.per_exit[0].spending_per_additional.value == pytest.approx(215_625, rel=ROUNDING)


@pytest.mark.hand
def test_money_between_public_actors_is_no_net_cost() -> None:
    found = ledgers(spec(price("sick_days", 500, "state", "municipality")), sick_days=estimate(2))
    assert found.per_exit[0].net.value == pytest.approx(17_250, rel=ROUNDING)


def test_nothing_is_divided_by_an_effect_that_may_be_none() -> None:
    unsure, harmful = ledgers(spec(), points=0.01, error=0.01).per_exit[0], ledgers(spec(), points=-0.05).per_exit[0]
    assert unsure.spending_per_additional == unsure.net_per_additional == Quotient(None, None, None, "covers_zero")
    assert harmful.net_per_additional == Quotient(None, None, None, "fewer")


def test_the_interval_of_a_fixed_cost_is_the_effect_s_turned_over() -> None:
    effect = estimate(0.08, 0.02, unit="probability")
    found = divide_by_effect(estimate(17_250), effect)
    assert (found.low, found.high) == (pytest.approx(17_250 / effect.high, rel=ROUNDING), pytest.approx(17_250 / effect.low, rel=ROUNDING))


@pytest.mark.reference
@pytest.mark.parametrize("shared", [-0.6, 0.0, 0.7])
def test_the_interval_is_fieller_s(shared: float) -> None:
    one, other = estimate(1, 1, seed=3).influence, estimate(1, 1, seed=4).influence
    cost = replace(estimate(12_000), influence=4_000 * (shared * one + math.sqrt(1 - shared**2) * other))
    effect = replace(estimate(0.08, unit="probability"), influence=0.02 * one)
    found = divide_by_effect(cost, effect)
    (v11, v12), (_, v22) = OWN.covariance(np.column_stack([cost.influence, effect.influence]))
    z, ratio = ndtri(0.975), 12_000 / 0.08
    g = z**2 * v22 / 0.08**2  # the form in which Fieller's theorem is usually printed, with g = z^2 v22 / b^2
    reach = z / 0.08 * math.sqrt(v11 - 2 * ratio * v12 + ratio**2 * v22 - g * (v11 - v12**2 / v22))
    assert found.low == pytest.approx((ratio - g * v12 / v22 - reach) / (1 - g), rel=ROUNDING)
    assert found.high == pytest.approx((ratio - g * v12 / v22 + reach) / (1 - g), rel=ROUNDING)


def test_the_interval_holds_the_ratios_a_test_does_not_reject() -> None:
    cost, effect = estimate(12_000, 3_000, seed=3), estimate(0.08, 0.015, unit="probability", seed=4)
    found = divide_by_effect(cost, effect)
    ratios = np.linspace(50_000, 500_000, 90_001)
    errors = [(cost.value - t * effect.value) ** 2 for t in ratios]
    covariance = OWN.covariance(np.column_stack([cost.influence, effect.influence]))
    kept = ratios[np.array(errors) <= ndtri(0.975) ** 2 * (covariance[0, 0] - 2 * ratios * covariance[0, 1] + ratios**2 * covariance[1, 1])]
    assert (found.low, found.high) == (pytest.approx(kept[0], abs=5), pytest.approx(kept[-1], abs=5))  # the ratios tried are 5 SEK apart


@pytest.mark.recovery
def test_the_interval_covers_the_true_ratio_as_often_as_it_says() -> None:
    rng, draws = np.random.default_rng(5), 4_000
    truth = np.array([12_000, 0.08])
    error = np.linalg.cholesky(np.array([[3_000**2, 0.5 * 3_000 * 0.02], [0.5 * 3_000 * 0.02, 0.02**2]]))
    two = Clusters(np.arange(2), np.arange(2), np.ones(2))
    covered, computed = 0, 0
    for c, d in truth + rng.normal(size=(draws, 2)) @ error.T:
        cost = Estimate("cost", c, error[0], two, "sek", n=2)
        effect = Estimate("effect", d, error[1], two, "probability", n=2)
        found = divide_by_effect(cost, effect)
        if found.low is not None and found.high is not None:
            computed += 1
            covered += found.low <= truth[0] / truth[1] <= found.high
    assert computed > 0.97 * draws  # four standard errors from zero: hardly ever refused
    assert covered / computed == pytest.approx(0.95, abs=0.011)  # three standard errors of 4,000 draws


@pytest.mark.property
@given(scale=st.floats(0.01, 100), more=st.integers(2, 50))
@settings(max_examples=25, deadline=None)
def test_money_scales_and_does_not_depend_on_how_many_shared_it(scale: float, more: int) -> None:
    prices = (price("sick_days", 500, "state", "individual"),)
    days = estimate(-3, 1, seed=6)
    before = ledgers(spec(*prices), sick_days=days)
    dearer = (price("sick_days", 500 * scale, "state", "individual"),)
    after = ledgers(spec(*dearer, budgets=(budget(69e6 * scale * more, 4_000 * more),)), sick_days=days)
    one, other = before.per_exit[0], after.per_exit[0]
    for first, second in (
        (one.spending_sek, other.spending_sek),
        (one.per_gross_exit_sek, other.per_gross_exit_sek),
        (one.net_per_additional.value, other.net_per_additional.value),
        (one.net_per_additional.low, other.net_per_additional.low),
        (one.net_per_additional.high, other.net_per_additional.high),
        (before.society.value, after.society.value),
    ):
        assert first is not None
        assert second == pytest.approx(first * scale, rel=1e-7)  # of numbers that cancel


# --- the second and third


@pytest.mark.property
@given(sek=st.floats(-2_000, 2_000), payer=st.sampled_from(ACTORS), receiver=st.sampled_from(ACTORS))
@settings(max_examples=40, deadline=None)
def test_a_transfer_is_a_loss_to_one_and_a_gain_to_another_and_nothing_to_society(sek: float, payer: Actor, receiver: Actor) -> None:
    if payer == receiver:
        return
    days = estimate(-3, 1, seed=6)
    without, found = ledgers(spec(), sick_days=days), ledgers(spec(price("sick_days", sek, payer, receiver)), sick_days=days)
    assert found.actors[payer].value - without.actors[payer].value == pytest.approx(3 * sek, abs=1e-6)
    assert found.actors[receiver].value - without.actors[receiver].value == pytest.approx(-3 * sek, abs=1e-6)
    assert found.society.value == pytest.approx(without.society.value, abs=1e-6)
    assert found.society.std_error == pytest.approx(0, abs=1e-6)


@pytest.mark.hand
def test_society_gains_what_is_produced_and_loses_what_is_used() -> None:
    prices = price("earnings_sek", 1, None, "individual"), price("earnings_sek", 0.3142, None, "state"), price("ordinary", 3_000, "state", None)
    found = ledgers(spec(*prices), earnings_sek=estimate(20_000, 2_000, seed=7))
    assert found.actors["eu"].value == -17_250
    assert found.actors["individual"].value == 20_000
    assert found.actors["state"].value == pytest.approx(6_284 + 3_000, rel=ROUNDING)
    assert found.society.value == pytest.approx(20_000 + 6_284 + 3_000 - 17_250, rel=ROUNDING)
    assert found.society.std_error == pytest.approx(1.3142 * 2_000, rel=ROUNDING)


@pytest.mark.hand
def test_raising_public_money_has_a_cost_where_the_plan_says_so() -> None:
    found = ledgers(spec(price("earnings_sek", 1, None, "individual"), tax_factor=1.3), earnings_sek=estimate(20_000))
    assert found.society.value == pytest.approx(20_000 - 1.3 * 17_250, rel=ROUNDING)


@pytest.mark.hand
def test_months_in_a_state_are_the_area_under_its_share() -> None:
    shares = {month: 0.002 * month for month in range(25)}  # rises to 4.8 points: a triangle of 24 x 0.048 / 2
    contrasts = {("nystartsjobb", month): Contrast(*(3 * (estimate(share, unit="probability"),))) for month, share in shares.items()}
    effect, share = estimate(0.08, 0.01, unit="probability"), estimate(0.5, unit="probability")
    occupancy = Occupancy(contrasts, ("nystartsjobb",), tuple(range(25)))
    asked = spec(price("subsidised_months", 10_000, "state", None))
    found = estimate_costs(effect, share, asked, None, occupancy)
    assert found.per_exit[0].net.value == pytest.approx(17_250 + 10_000 * 0.576, rel=ROUNDING)
    short = Occupancy({key: value for key, value in contrasts.items() if key[1] < 20}, ("nystartsjobb",), tuple(range(20)))
    assert ("subsidised_months", "not_measured") in estimate_costs(effect, share, asked, None, short).unknown


def test_what_is_not_known_is_named_and_not_taken_for_nothing() -> None:
    found = ledgers(
        spec(price("sick_days", 500, "state", "individual"), price("assistance_months", 8_000, "municipality", "individual")), sick_days=estimate(1)
    )
    assert dict(found.unknown) == {
        "ordinary": "no_price",
        "subsidised_months": "no_price",
        "programme_months": "no_price",
        "assistance_months": "not_measured",
        "earnings_sek": "no_price",
    }


def test_the_covariance_of_cost_and_effect_is_kept() -> None:
    effect = estimate(0.08, 0.02, unit="probability", seed=1)
    dear = replace(estimate(0.0), influence=effect.influence * 1e5, clusters=Clusters(np.arange(PEOPLE), np.arange(PEOPLE), np.ones(PEOPLE)))
    cheap = replace(dear, influence=-dear.influence)
    asked = spec(price("sick_days", 1, "state", "individual"))
    widths = []
    for days in (dear, cheap):
        found = estimate_costs(effect, estimate(0.5, unit="probability"), asked, totals(sick_days=days)).per_exit[0].net_per_additional
        assert found.low is not None
        assert found.high is not None
        widths.append(found.high - found.low)
    assert widths[0] < 0.7 * widths[1]  # where a larger effect comes with a larger cost their ratio is surer


# --- what is refused


def test_years_are_brought_together_only_by_an_index() -> None:
    old = budget(44.4e6, 4_000, year=2019)
    by_index = CostSpec(price_year=2022, budgets=(old,), price_index={2019: 200.0, 2022: 220.0})
    assert ledgers(by_index).per_exit[0].spending_sek == pytest.approx(11_100 * 1.1, rel=ROUNDING)
    assert CostSpec(price_year=2022, budgets=(old,)).other_years == (2019,)
    with pytest.raises(ValidationError, match="`price_index` has no year 2019"):
        CostSpec(price_year=2022, budgets=(old,), price_index={2022: 220.0})


def test_a_price_is_of_somebody() -> None:
    with pytest.raises(ValidationError, match="give a payer, a receiver, or both"):
        price("sick_days", 1, None, None)
    with pytest.raises(ValidationError, match="must differ"):
        price("sick_days", 1, "state", "state")


def test_estimates_of_different_comparisons_are_not_divided() -> None:
    other = Clusters(np.arange(PEOPLE), np.arange(PEOPLE) // 2, np.ones(PEOPLE))
    with pytest.raises(EstimationError, match="are of different comparisons"):
        ledgers(spec(price("sick_days", 1, "state", "individual")), sick_days=estimate(1, clusters=other))


def test_no_exit_is_nothing_to_divide_by() -> None:
    with pytest.raises(EstimationError, match="no participant left within the horizon"):
        estimate_costs(estimate(0.1, 0.01, unit="probability"), estimate(0.0, unit="probability"), spec())


@pytest.mark.hand
def test_the_table_has_a_row_for_every_line_of_the_three_ledgers() -> None:
    found = ledgers(spec(price("sick_days", 500, "state", "individual"), budgets=(budget(), budget(44.4e6))), sick_days=estimate(2, 0.5, seed=3))
    table = found.to_frame()
    exit = table[table["ledger"] == "exit"].set_index("line")
    assert exit["sek"].tolist()[:5] == pytest.approx([17_250, 18_250, 34_500, 215_625, 18_250 / 0.08], rel=ROUNDING)
    assert exit["sek"].tolist()[5:7] == pytest.approx([11_100, 12_100], rel=ROUNDING)
    assert exit.loc["net", "std_error"].tolist() == pytest.approx([250, 250], rel=ROUNDING)  # 500 for each of the days, which are known to 0.5
    assert (exit.loc["net", "high"] - exit.loc["net", "sek"]).tolist() == pytest.approx([ndtri(0.975) * 250] * 2, rel=ROUNDING)
    quotient = exit.loc["spending_per_additional"].iloc[0]
    assert (quotient["low"], quotient["high"]) == (found.per_exit[0].spending_per_additional.low, found.per_exit[0].spending_per_additional.high)
    lines = table[(table["ledger"] == "actors") & (table["line"] != "total")]
    assert lines[["line", "actor"]].to_numpy().tolist() == [["spending", "eu"], ["sick_days", "state"], ["sick_days", "individual"]]
    assert lines["sek"].tolist() == pytest.approx([-17_250, -1_000, 1_000], rel=ROUNDING)
    assert lines["std_error"].tolist() == pytest.approx([0, 250, 250], rel=ROUNDING)
    of_actors = table[(table["ledger"] == "actors") & (table["line"] == "total")].set_index("actor")["sek"]
    assert of_actors.index.tolist() == list(ACTORS)
    assert of_actors.tolist() == pytest.approx(lines.groupby("actor")["sek"].sum().reindex(ACTORS, fill_value=0.0).tolist(), rel=ROUNDING)
    (society,) = table.loc[table["ledger"] == "society", "sek"]
    assert society == pytest.approx(of_actors.sum(), rel=ROUNDING)


def test_a_cost_of_an_effect_that_may_be_none_has_no_number_in_the_table() -> None:
    table = ledgers(spec(), points=0.01, error=0.01).to_frame().set_index("line")
    assert table.loc["spending_per_additional", ["sek", "low", "high"]].isna().all()
    assert table.loc["per_gross_exit", "sek"] == 34_500
