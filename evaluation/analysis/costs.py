"""What did one more exit cost, who paid, and what did it come to for society?

Three ledgers that answer three questions and are never added up. The first divides what the programme cost by what it added: the cost of one
additional exit. The second follows the money of each actor, so that a transfer is a loss to one and a gain to another. The third adds the actors up,
so that transfers cancel and work done and resources used remain. Money spent over everybody who left, whether or not the programme made them, is
only ever given beside the cost of one additional exit. Prices and budgets are the plan's, each with its year and source; a price that nobody has
given is not zero but unknown, and the ledgers say what follows from that.

References
----------
Boardman, Greenberg, Vining & Weimer (2018). Cost-Benefit Analysis: Concepts and Practice, 5th edition (perspectives, transfers).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, model_validator

from evaluation.analysis.estimates import Estimate
from evaluation.analysis.goals import Words
from evaluation.analysis.means import Occupancy, Totals
from evaluation.analysis.quotients import Quotient, divide_by_effect
from evaluation.analysis.trajectories import MONTHS
from evaluation.errors import EstimationError

Actor = Literal["eu", "finsam", "state", "municipality", "region", "individual"]
ACTORS: tuple[Actor, ...] = ("eu", "finsam", "state", "municipality", "region", "individual")
Quantity = Literal["ordinary", "subsidised_months", "programme_months", "sick_days", "assistance_months", "earnings_sek"]
QUANTITIES: tuple[Quantity, ...] = ("ordinary", "subsidised_months", "programme_months", "sick_days", "assistance_months", "earnings_sek")
STATES: dict[Quantity, tuple[str, ...]] = {  # of codes/tillstand.csv, months in which are priced
    "subsidised_months": ("nystartsjobb", "arbete_subventionerat", "arbete_lonebidrag"),
    "programme_months": ("program",),
}


class _Spec(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class BudgetPart(_Spec):
    """What one actor put in."""

    payer: Actor
    sek: float = Field(gt=0)


class Budget(_Spec):
    """What the programme cost by one account; accounts that contradict each other all stand."""

    name: Words
    parts: tuple[BudgetPart, ...] = Field(min_length=1)
    participants: int = Field(ge=1, description="how many the money was for, in the same account")
    price_year: int = Field(ge=1990, le=2100)
    source: Words


class Price(_Spec):
    """What one more of something costs one actor, and brings another."""

    name: Words
    quantity: Quantity
    sek: float = Field(description="per day, per month, per participant, or per SEK earned, as the quantity is counted")
    payer: Actor | None = Field(default=None, description="who pays; left out: nobody, for it is work done")
    receiver: Actor | None = Field(default=None, description="who receives it; left out: nobody, for it is resources used")
    price_year: int | None = Field(default=None, ge=1990, le=2100, description="left out: a rate, which has no price year")
    source: Words

    @model_validator(mode="after")
    def _somebody(self) -> Price:
        if self.payer is None and self.receiver is None:
            raise ValueError("give a payer, a receiver, or both")
        if self.payer == self.receiver:
            raise ValueError("payer and receiver must differ: what an actor pays itself costs nothing")
        return self


class CostSpec(_Spec):
    """What is known of money."""

    price_year: int = Field(ge=1990, le=2100, description="the year whose prices everything is given in")
    price_index: dict[int, float] = Field(
        default_factory=dict, description="year = index, to bring other years to the price year; left out: no change"
    )
    budgets: tuple[Budget, ...] = Field(min_length=1, description="the first is the one the ledgers of actors and society use")
    prices: tuple[Price, ...] = ()
    tax_factor: float | None = Field(default=None, ge=1, description="what one SEK of public money costs society; left out: not counted")

    @model_validator(mode="after")
    def _can_be_brought_to_one_year(self) -> CostSpec:
        absent = sorted({self.price_year, *self._years} - set(self.price_index)) if self.price_index else []
        if absent:
            raise ValueError(f"`price_index` has no year {', '.join(map(str, absent))}, in which something is priced")
        return self

    @property
    def other_years(self) -> tuple[int, ...]:
        """Price years that are not brought to the one asked for, since there is no index."""
        return () if self.price_index else tuple(sorted(self._years - {self.price_year}))

    @property
    def _years(self) -> set[int]:
        return {one.price_year for one in self.budgets} | {one.price_year for one in self.prices if one.price_year is not None}

    def in_price_year(self, sek: float, year: int | None) -> float:
        """Bring an amount to the price year."""
        return sek if year is None or not self.price_index else sek * self.price_index[self.price_year] / self.price_index[year]


@dataclass(frozen=True, eq=False)
class CostPerExit:
    """The first ledger, by one account of what the programme cost.

    Attributes
    ----------
    budget : Budget
    spending_sek : float
        Per participant, in the price year.
    net : Estimate
        Spending and what else public actors pay more of, per participant; tax is not taken off.
    per_gross_exit_sek : float
        Spending over everybody among the participants who left. Says nothing of what the programme added: never to be shown without the others.
    spending_per_additional, net_per_additional : Quotient
        Spending, and net cost, over what the programme added.
    """

    budget: Budget
    spending_sek: float
    net: Estimate
    per_gross_exit_sek: float
    spending_per_additional: Quotient
    net_per_additional: Quotient


@dataclass(frozen=True, eq=False)
class Entry:
    """One line of the second ledger.

    Attributes
    ----------
    price : Price or None
        None for the programme's own spending.
    value : dict of Actor to Estimate
        SEK per participant, gains above 0; of a transfer, one gain and one loss.
    """

    price: Price | None
    value: dict[Actor, Estimate]


@dataclass(frozen=True, eq=False)
class Costs:
    """Three ledgers.

    Attributes
    ----------
    spec : CostSpec
    effect : Estimate
        Additional share that left, at the horizon asked about.
    share : Estimate
        Share of the participants that left, with what they would have done anyway.
    per_exit : tuple of CostPerExit
        First ledger, one per budget of the plan.
    entries : tuple of Entry
        Second ledger, by the first budget.
    actors : dict of Actor to Estimate
        What each actor gains in all, SEK per participant; of what is known.
    society : Estimate
        Third ledger: the sum of the actors, less the cost of raising public money where the plan has a factor for it.
    unknown : tuple of (Quantity, {"no_price", "not_measured"})
        What is in no ledger, and why: the plan has no price, or the registers do not tell how much.
    """

    spec: CostSpec
    effect: Estimate
    share: Estimate
    per_exit: tuple[CostPerExit, ...]
    entries: tuple[Entry, ...]
    actors: dict[Actor, Estimate]
    society: Estimate
    unknown: tuple[tuple[Quantity, Literal["no_price", "not_measured"]], ...]

    @property
    def nets(self) -> bool:
        """Whether any public spending beside the programme's own is known, so that the net cost is more than its spending."""
        return any(entry.price is not None and entry.price.payer not in (None, "individual") for entry in self.entries)

    def to_frame(self) -> pd.DataFrame:
        """Give one row per line of the three ledgers: ledger, account, line, actor, sek, std_error, low, high.

        In the ledger "exit" each account of what the programme cost has the lines spending and net (SEK per participant), per_gross_exit,
        spending_per_additional and net_per_additional (SEK per exit); in "actors" each line is a price by its English name, the programme's spending
        or the actor's total, and in "society" it is the total (SEK per participant, gains above 0). Missing where there is no number.
        """
        rows: list[tuple[object, ...]] = []
        for one in self.per_exit:
            account = one.budget.name.en
            rows += [("exit", account, "spending", "", one.spending_sek), ("exit", account, "net", "", *_cells(one.net))]
            rows.append(("exit", account, "per_gross_exit", "", one.per_gross_exit_sek))
            quotients = {"spending_per_additional": one.spending_per_additional, "net_per_additional": one.net_per_additional}
            rows += [("exit", account, line, "", found.value, None, found.low, found.high) for line, found in quotients.items()]
        account = self.spec.budgets[0].name.en
        for entry in self.entries:
            line = "spending" if entry.price is None else entry.price.name.en
            rows += [("actors", account, line, actor, *_cells(gain)) for actor, gain in entry.value.items()]
        rows += [("actors", account, "total", actor, *_cells(gain)) for actor, gain in self.actors.items()]
        rows.append(("society", account, "total", "", *_cells(self.society)))
        numbers = ["sek", "std_error", "low", "high"]
        return pd.DataFrame(rows, columns=["ledger", "account", "line", "actor", *numbers]).astype(dict.fromkeys(numbers, np.float64))


def estimate_costs(effect: Estimate, share: Estimate, spec: CostSpec, totals: Totals | None = None, occupancy: Occupancy | None = None) -> Costs:
    """Set up the three ledgers of a study.

    Parameters
    ----------
    effect : Estimate
        Additional share of the participants that left, as a probability.
    share : Estimate
        Share of the participants that left.
    spec : CostSpec
    totals : Totals, optional
        Days, months and earnings over two years, of the same comparison.
    occupancy : Occupancy, optional
        Shares in each state by month, of the same comparison.

    Returns
    -------
    Costs

    Raises
    ------
    EstimationError
        If nobody among the participants left, or the estimates are of different comparisons.

    Notes
    -----
    With c the cost and d the effect per participant, an additional exit costs c / d, which is the total cost over the additional exits. Its interval
    is Fieller's, and knows how the two vary together. Months in a state are the area under its monthly share, by the trapezoid rule.
    """
    if share.value <= 0:
        raise EstimationError("costs: no participant left within the horizon, so there is no exit to divide by; choose a later horizon")
    amounts = _amounts(effect, totals, occupancy)
    entries = tuple(_entry(price, amounts[price.quantity], spec) for price in spec.prices if price.quantity in amounts)
    per_exit = tuple(_per_exit(budget, entries, effect, share, spec) for budget in spec.budgets)
    entries = (_spending(spec.budgets[0], effect, spec), *entries)
    actors = {actor: _sum(effect, [entry.value[actor] for entry in entries if actor in entry.value]) for actor in ACTORS}
    public = _sum(effect, [gain for actor, gain in actors.items() if actor != "individual"])
    society = public + actors["individual"]
    if spec.tax_factor is not None:
        society = society + _times(public, spec.tax_factor - 1)
    priced = {price.quantity for price in spec.prices}
    unknown = [(name, "no_price" if name not in priced else "not_measured") for name in QUANTITIES if name not in priced or name not in amounts]
    return Costs(spec, effect, share, per_exit, entries, actors, replace(society, name="gain to society"), tuple(unknown))  # type: ignore[arg-type]


def _amounts(effect: Estimate, totals: Totals | None, occupancy: Occupancy | None) -> dict[Quantity, Estimate]:
    """Give how much more of each quantity a participant has than without the programme."""
    known: dict[Quantity, Estimate] = {"ordinary": _fixed("ordinary help", -1.0, effect)}
    for name in QUANTITIES:
        if totals is not None and name in totals.contrasts:
            known[name] = _beside(effect, totals.contrasts[name].difference)
    return known if occupancy is None else {**known, **state_months(effect, occupancy)}


def state_months(effect: Estimate, occupancy: Occupancy) -> dict[Quantity, Estimate]:
    """Give how many more months a participant spends in the states that are priced.

    Parameters
    ----------
    effect : Estimate
        Of the same comparison; beside it they can be added.
    occupancy : Occupancy

    Returns
    -------
    dict of Quantity to Estimate
        Empty where not every month is observed.
    """
    if not set(range(MONTHS + 1)) <= set(occupancy.months):
        return {}
    known: dict[Quantity, Estimate] = {}
    ends = {0: 0.5, MONTHS: 0.5}
    for name in STATES:
        states = [state for state in STATES[name] if state in occupancy.states]
        gaps = ((occupancy.contrasts[state, month].difference, ends.get(month, 1.0)) for state in states for month in range(MONTHS + 1))
        months = _sum(effect, (_times(_beside(effect, gap), weight) for gap, weight in gaps))
        known[name] = replace(months, name=name, unit="months")
    return known


def _entry(price: Price, amount: Estimate, spec: CostSpec) -> Entry:
    value = _times(amount, spec.in_price_year(price.sek, price.price_year), "sek")
    sides = {price.payer: _times(value, -1), price.receiver: value}
    return Entry(price, {actor: gain for actor, gain in sides.items() if actor is not None})


def _spending(budget: Budget, effect: Estimate, spec: CostSpec) -> Entry:
    payers = dict.fromkeys(part.payer for part in budget.parts)
    paid = {actor: sum(part.sek for part in budget.parts if part.payer == actor) / budget.participants for actor in payers}
    return Entry(None, {actor: _fixed("spending", -spec.in_price_year(sek, budget.price_year), effect) for actor, sek in paid.items()})


def _per_exit(budget: Budget, entries: Sequence[Entry], effect: Estimate, share: Estimate, spec: CostSpec) -> CostPerExit:
    spent = spec.in_price_year(sum(part.sek for part in budget.parts), budget.price_year) / budget.participants
    spending = _fixed("spending", spent, effect)
    public = (entry for entry in entries if entry.price and entry.price.payer not in (None, "individual"))
    paid = [_times(gain, -1) for entry in public for actor, gain in entry.value.items() if actor != "individual"]
    net = replace(_sum(effect, [spending, *paid]), name="net cost")
    return CostPerExit(budget, spent, net, spent / share.value, divide_by_effect(spending, effect), divide_by_effect(net, effect))


def _cells(found: Estimate) -> tuple[float, float, float, float]:
    return found.value, found.std_error, found.low, found.high


def _fixed(name: str, value: float, beside: Estimate) -> Estimate:
    """Give a number that depends on nobody, as an estimate that can be added to others."""
    return replace(beside, name=name, value=value, influence=np.zeros_like(beside.influence), unit="sek", interval="plain")


def _times(estimate: Estimate, factor: float, unit: Literal["sek"] | None = None) -> Estimate:
    return replace(estimate, value=estimate.value * factor, influence=estimate.influence * factor, unit=unit or estimate.unit, interval="plain")


def _sum(beside: Estimate, estimates: Iterable[Estimate]) -> Estimate:
    return reduce(add, estimates, _fixed("sum", 0.0, beside))


def _beside(effect: Estimate, other: Estimate) -> Estimate:
    """Put an estimate from another call, on the same comparison, among those that can be added to the effect."""
    if not effect.clusters.same_as(other.clusters):
        raise EstimationError(f"{effect.name} and {other.name}: are of different comparisons; estimate both of the same one")
    return replace(other, clusters=effect.clusters)
