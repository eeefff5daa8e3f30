"""How near the goals the project came: counts that a reader can redo, goals that are all kept, a forecast that is right as often as it says."""

import datetime as dt
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError
from statsmodels.stats.proportion import proportion_confint

from evaluation.analysis import goal_forecast
from evaluation.analysis.delivered_goals import follow_delivered_goals
from evaluation.analysis.goal_forecast import Standing, forecast_count
from evaluation.analysis.goals import GoalFollowUp, GoalPhase, GoalSpec, GoalVersion, Words, follow_goals, wilson_interval
from evaluation.errors import InputError
from evaluation.registers.store import Registers
from evaluation.registers.synthetic.simulate import SyntheticRegisters, simulate_registers
from evaluation.registers.validation import read_registers

ROUNDING = 1e-9  # relative: the order of a few hundred sums
PRINTED = 5e-5  # four decimals
STEP = 1e-6  # change of a rate: truncation is of its order
UNTIL = dt.date(2020, 6, 30)
PHASE = GoalPhase(last_start=dt.date(2020, 9, 30), ends=dt.date(2020, 12, 31))

#    lopnr  fas    start         stop          result    dated
SIX = [
    ("a", "1", "2020-01-15", "2020-03-10", "arbete", "2020-03-10"),
    ("b", "1", "2020-01-20", "2020-02-28", "sjuk", "2020-02-28"),
    ("c", "1", "2020-02-01", None, None, None),
    ("d", "1", "2020-03-05", "2020-07-02", "studier", "2020-07-02"),  # after the last day
    ("e", "1", None, None, None, None),  # offered, did not start
    ("f", "1", "2020-03-10", None, "arbete", None),  # no date
    ("g", "1", "2020-03-10", None, "arbete", "2020-03-01"),  # before the start
    ("a", "2.0", "2020-05-01", "2020-06-30", "studier", "2020-06-30"),
]


@pytest.fixture(scope="module")
def simulated() -> SyntheticRegisters:
    return simulate_registers(300, 1_500, seed=1)


@pytest.fixture(scope="module")
def registers(simulated: SyntheticRegisters) -> Registers:
    return read_registers(simulated.tables)


def participation(rows: list[tuple[str | None, ...]] = SIX) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["lopnr", "fas", "start_datum", "slut_datum", "projekt_resultat", "resultat_datum"])
    return table.assign(**{name: pd.to_datetime(table[name]) for name in ("start_datum", "slut_datum", "resultat_datum")})


def follow(rows: list[tuple[str | None, ...]] = SIX, spec: GoalSpec | None = None, **more: object) -> GoalFollowUp:
    return follow_goals(participation(rows), spec or GoalSpec(horizons_months=(1, 3)), until=UNTIL, **more)  # type: ignore[arg-type]


def same(one: GoalFollowUp, other: GoalFollowUp) -> None:
    for name in ("monthly", "shares", "unplaced"):
        pd.testing.assert_frame_equal(getattr(one, name), getattr(other, name), check_exact=True)
    assert one.forecasts.keys() == other.forecasts.keys()
    for phase, first in one.forecasts.items():
        assert first.value.tobytes() == other.forecasts[phase].value.tobytes()
        assert first.low.tobytes() == other.forecasts[phase].low.tobytes()


# --- what is counted


@pytest.mark.hand
def test_the_count_is_the_one_made_by_hand() -> None:
    found = follow()
    monthly = found.monthly[found.monthly["phase"] == "1"]
    assert list(monthly["month"].dt.strftime("%Y-%m-%d")) == ["2020-01-31", "2020-02-29", "2020-03-31", "2020-04-30", "2020-05-31", "2020-06-30"]
    assert list(monthly["started"]) == [2, 3, 6, 6, 6, 6]
    assert list(monthly["exits"]) == [0, 0, 1, 1, 1, 1]
    assert found.count("2.0") == (1, 1)
    assert found.count("1", day=dt.date(2020, 2, 29)) == (3, 0)
    assert found.count("3") == (0, 0)
    assert found.unplaced.to_numpy().tolist() == [["1", 1, 1], ["2.0", 0, 0]]


@pytest.mark.hand
def test_a_share_within_a_horizon_counts_those_who_had_the_time() -> None:
    shares = follow().shares.set_index(["phase", "horizon_months"])
    assert tuple(shares.loc[("1", 1), ["people", "exits"]]) == (6, 0)  # a left after 55 days
    assert tuple(shares.loc[("1", 3), ["people", "exits"]]) == (6, 1)  # 91 days: all started by 31 March
    assert ("2.0", 3) not in shares.index
    late = follow_goals(participation(), GoalSpec(horizons_months=(4,)), until=UNTIL).shares
    assert tuple(late.loc[0, ["people", "exits"]]) == (3, 1)  # 122 days: d, f and g have not had them


@pytest.mark.hand
def test_the_groups_make_up_the_whole() -> None:
    groups = pd.DataFrame({"kon": ["1", "2", "2", "1", "1", "2"]}, index=list("abcdfg"))
    found = follow(groups=groups)
    assert found.count("1", "kon", "1") == (3, 1)
    assert found.count("1", "kon", "2") == (3, 0)
    parts = found.monthly[found.monthly["by"] == "kon"].groupby(["phase", "month"])[["started", "exits"]].sum()
    whole = found.monthly[found.monthly["by"] == ""].set_index(["phase", "month"])[["started", "exits"]]
    last = pd.Timestamp(UNTIL)
    assert parts.xs(last, level="month").equals(whole.xs(last, level="month"))
    assert "fodd_utanfor_europa" not in set(found.monthly["by"])  # not among the columns given


@pytest.mark.property
def test_nothing_after_the_last_day_is_used_and_the_order_of_rows_moves_no_bit(simulated: SyntheticRegisters) -> None:
    people, until = simulated.tables["projekt_deltagande"], dt.date(2021, 3, 31)
    spec = GoalSpec(phases={"2.0": GoalPhase(last_start=dt.date(2022, 6, 30), ends=dt.date(2022, 12, 31))})
    found = follow_goals(people, spec, until=until)
    assert found.forecasts["2.0"].open > 0
    same(found, follow_goals(people.sample(frac=1, random_state=1), spec, until=until))
    day = pd.Timestamp(until)
    hidden = people[people["start_datum"] <= day].copy()
    for name in ("slut_datum", "resultat_datum"):
        hidden[name] = hidden[name].where(hidden[name] <= day)
    hidden["projekt_resultat"] = hidden["projekt_resultat"].where(hidden["resultat_datum"].notna())
    same(found, follow_goals(hidden, spec, until=until))


@pytest.mark.reference
@pytest.mark.parametrize(  # Newcombe (1998), Statistics in Medicine 17(8), 857-872, table I, method 3
    ("count", "of", "low", "high"), [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)]
)
def test_a_share_has_the_published_interval(count: int, of: int, low: float, high: float) -> None:
    found = wilson_interval(count, of, 0.95)
    assert found == pytest.approx((low, high), abs=PRINTED)
    assert found == pytest.approx(proportion_confint(count, of, 0.05, "wilson"), rel=ROUNDING, abs=ROUNDING)


def test_everybody_is_not_sure_to_be_everybody() -> None:
    assert wilson_interval(20, 20, 0.95) == pytest.approx((1 - 0.1611, 1.0), abs=PRINTED)


# --- the goals


@pytest.mark.hand
@pytest.mark.parametrize(
    ("period", "days"),
    [
        ("2020-01-01/2022-06-30", ((2020, 1, 1), (2022, 6, 30))),
        ("2020-01 - 2022-06", ((2020, 1, 1), (2022, 6, 30))),  # as the delivered table has it: whole months
        ("2019-12/2020-02", ((2019, 12, 1), (2020, 2, 29))),
        ("", None),
        ("hela fasen", None),
        ("2022-06-31/2022-07-01", None),
        ("2020-01/2020-13", None),
        ("2022-06-30/2020-01-01", None),
    ],
)
def test_a_period_is_two_days_or_two_months_in_order(period: str, days: tuple[tuple[int, int, int], ...] | None) -> None:
    version = GoalVersion(goal="1", version=1, persons=10, period=period, source=Words(sv="x", en="x"))
    assert version.days == (None if days is None else tuple(dt.date(*day) for day in days))


def test_a_plan_with_periods_that_are_none_is_stopped_and_told_how_many() -> None:
    wrong = [GoalVersion(goal="1", version=1, persons=10, period=period, source=Words(sv="x", en="x")) for period in ("juni", "2020", "")]
    with pytest.raises(ValueError, match="2 with a period that is not two days in order"):
        GoalSpec(versions=tuple(wrong))


@pytest.mark.hand
def test_exits_after_the_last_day_in_the_project_are_counted() -> None:
    days = pd.to_datetime(["2020-03-01", "2020-03-02", "2020-03-01", "2020-03-01", "2021-06-01"])
    table = pd.DataFrame({"lopnr": list("abcde"), "fas": "1", "start_datum": pd.Timestamp("2020-01-01"), "resultat_datum": days})
    table["slut_datum"] = pd.to_datetime(["2020-03-01", "2020-03-01", None, "2020-02-29", "2020-03-01"])
    table["projekt_resultat"] = ["arbete", "arbete", "arbete", "annat", "studier"]
    found = follow_goals(table, GoalSpec(), until=dt.date(2020, 12, 31))
    assert found.after_last_day == 1  # b; c has not left, d left for something else, and e's exit is not counted yet


def test_every_version_of_a_goal_is_kept_with_the_delivered_ones(registers: Registers) -> None:
    plan = (
        GoalVersion(goal="2.0", version=1, persons=2_500, of=5_600, source=Words(sv="ansökan", en="application")),
        GoalVersion(goal="2.0", version=1, persons=2_500, of=6_000, source=Words(sv="beslut", en="decision")),
    )
    named = {"fas1_arbete_studier": "1", "fas2_arbete_studier": "2.0"}
    found = follow_delivered_goals(registers, GoalSpec(versions=plan, delivered_as=named))
    assert [(one.goal, one.version, one.persons, one.of) for one in found.versions] == [
        ("1", 1, 1_500, 4_000),
        ("2.0", 1, 2_500, 5_600),  # in the plan and delivered: once
        ("2.0", 1, 2_500, 6_000),
        ("2.0", 2, 1_800, 4_000),
    ]
    assert found.versions[0].decided == dt.date(2018, 3, 1)
    assert {"kon", "fodd_utanfor_europa"} < set(found.monthly["by"])
    assert found.count("1")[0] == registers.frame("projekt_deltagande").query("fas == '1'")["start_datum"].notna().sum()


@pytest.mark.recovery
def test_the_count_is_the_simulation_s_own(simulated: SyntheticRegisters, registers: Registers) -> None:
    found = follow_delivered_goals(registers, GoalSpec())
    table = simulated.tables["projekt_deltagande"]
    exits = table["projekt_resultat"].isin(["arbete", "studier"]) & table["start_datum"].notna()
    assert {phase: found.count(phase)[1] for phase in ("1", "2.0")} == exits.groupby(table["fas"]).sum().to_dict()


# --- the forecast


def standing(start: list[int], exit: list[float], left: list[float]) -> Standing:
    return Standing(np.array(start), np.array(exit), np.array(left))


@pytest.mark.hand
def test_the_forecast_of_people_who_are_there_is_the_one_made_by_hand() -> None:
    now, gone = 2020 * 12 + 5, np.nan  # June 2020
    starts = [now - 12] * 40 + [now] * 60  # 40 a year ago, of whom 10 left in the first month and none since; 60 this month, of whom 20
    exits = [now - 12.0] * 10 + [gone] * 30 + [float(now)] * 20 + [gone] * 40
    found = forecast_count(standing(starts, exits, [gone] * 100), until=UNTIL, last_start=UNTIL, ends=dt.date(2020, 7, 31))
    assert found is not None
    assert (found.so_far, found.open, found.expected_starts) == (30, 70, 0)
    assert found.value[-1] == pytest.approx(30)  # in month 1 and in month 13 none of 30 has left: none is expected to
    assert found.low[-1] == 30  # who has left has left
    assert 30 < found.high[-1] < 35  # but 30 is not many
    half = forecast_count(standing(starts, exits, [gone] * 100), until=UNTIL, last_start=dt.date(2020, 7, 15), ends=dt.date(2020, 7, 31))
    assert half is not None
    assert half.expected_starts == 5  # 60 in a year; of the 100 who have been there a month, 30 left in it
    assert half.value[-1] == pytest.approx(30 + 5 * 0.3)


def grown(rng: np.random.Generator, months: int, pace: float, exit: NDArray[np.float64], leave: NDArray[np.float64]) -> Standing:
    """Draw starts, and what becomes of each, in so many months from month 24,000."""
    start = np.repeat(np.arange(months), rng.poisson(pace, months))
    age = np.arange(months)
    draw = rng.random((len(start), months))
    out = draw < (exit + leave)[age]
    first = np.where(out.any(axis=1), out.argmax(axis=1), -1)
    kind = draw[np.arange(len(start)), np.maximum(first, 0)] < exit[np.maximum(first, 0)]
    day = (24_000 + start + first).astype(float)
    return Standing(24_000 + start, np.where((first >= 0) & kind, day, np.nan), np.where((first >= 0) & ~kind, day, np.nan))


def known(everything: Standing, now: int) -> Standing:
    there = everything.start <= now
    return Standing(everything.start[there], *(np.where(times[there] <= now, times[there], np.nan) for times in everything[1:]))


@pytest.fixture(scope="module")
def rates() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    ages = np.arange(60)
    return 0.01 + 0.05 * np.exp(-(((ages - 5) / 4) ** 2)), np.where(
        ages == 8, 0.3, 0.01
    )  # nothing new after a year, which is as far as a month has a rate of its own


@pytest.mark.recovery
@pytest.mark.parametrize("stops", [18, 30], ids=["nobody starts after it is made", "people go on starting"])
def test_the_forecast_is_right_as_often_as_it_says(stops: int, rates: tuple[NDArray[np.float64], NDArray[np.float64]]) -> None:
    rng, inside, error, widths = np.random.default_rng(8), 0, [], []
    made, ends = goal_forecast.month_end(24_017), goal_forecast.month_end(24_035)
    for _ in range(400):
        everything = grown(rng, 36, 60, *rates)
        started = everything.start < 24_000 + stops
        everything = Standing(*(times[started] for times in everything))
        found = forecast_count(known(everything, 24_017), until=made, last_start=goal_forecast.month_end(24_000 + stops - 1), ends=ends)
        assert found is not None
        truth = np.sum(everything.exit <= 24_035)
        inside += found.low[-1] <= truth <= found.high[-1]
        error.append(found.value[-1] - truth)
        widths.append((found.high[-1] - found.low[-1]) / 2 / 1.96)
    assert inside / 400 == pytest.approx(0.95, abs=0.033)  # three standard errors of 400 draws
    assert np.std(error) == pytest.approx(np.mean(widths), rel=0.12)  # three standard errors of a standard deviation
    assert abs(np.mean(error)) < 0.5 * np.std(error)  # later months share one rate, here a little high; it must not rule the error


def test_the_forecast_carries_how_well_the_rates_are_known(rates: tuple[NDArray[np.float64], NDArray[np.float64]]) -> None:
    small, now = known(grown(np.random.default_rng(4), 24, 40, *rates), 24_023), 24_023
    found = goal_forecast._rates(small, now)
    there, pace = np.array([0.0, 30.0, 20.0, 10.0]), goal_forecast._Pace(0.0, 1.0, 12)
    mean, variance = goal_forecast._ahead(found, there, pace, 6, 0)

    def moved(exit: NDArray[np.float64], leave: NDArray[np.float64]) -> float:
        return goal_forecast._ahead(found._replace(exit=exit, leave=leave), there, pace, 6, 0)[0]

    unsure = 0.0
    for k, n in enumerate(found.people):
        one = STEP * (np.arange(len(found.exit)) == k)
        by_exit = (moved(found.exit + one, found.leave) - mean) / STEP
        by_leave = (moved(found.exit, found.leave + one) - mean) / STEP
        h, g = ((n * rate[k] + 0.5) / (n + 1) for rate in (found.exit, found.leave))  # half a person added
        unsure += (h * (1 - h) * by_exit**2 + g * (1 - g) * by_leave**2 - 2 * h * g * by_exit * by_leave) / n
    reached = [goal_forecast._ahead(found, np.eye(4)[k], pace, 6, 0)[0] for k in range(4)]
    chance = sum(n * p * (1 - p) for n, p in zip(there, reached, strict=True))
    assert variance == pytest.approx(chance + unsure, rel=1e-4)  # the derivative was taken by steps


@pytest.mark.hand
def test_new_starts_bring_their_own_chance_and_how_well_their_pace_is_known() -> None:
    rates = goal_forecast._Rates(np.array([0.1]), np.array([0.0]), np.array([1e12]))  # known as well as can be
    pace = goal_forecast._Pace(a_month=10.0, spread=2.0, months=5)
    mean, variance = goal_forecast._ahead(rates, np.array([0.0]), pace, 1, 1)
    assert mean == pytest.approx(1.0)  # 10 who start, a tenth of whom leave at once
    assert variance == pytest.approx(10 * 0.1 * 0.9 + 2 * 10 * 0.1**2 + 2 * 10 / 5 * 0.1**2)  # who leaves, how many start, what is known of that


def test_a_rehearsal_knows_nothing_that_was_not_known(simulated: SyntheticRegisters) -> None:
    people = simulated.tables["projekt_deltagande"]
    spec = GoalSpec(phases={"2.0": GoalPhase(last_start=dt.date(2022, 6, 30), ends=dt.date(2022, 12, 31))})
    rehearsal = follow_goals(people, spec, until=dt.date(2023, 12, 31)).rehearsals["2.0"]
    then = follow_goals(people, spec, until=rehearsal.made).forecasts["2.0"]
    for name in ("value", "low", "high"):
        assert getattr(rehearsal, name).tobytes() == getattr(then, name).tobytes()
    assert rehearsal.so_far > 0


def test_only_a_phase_that_goes_on_is_forecast_and_one_that_has_ended_is_rehearsed() -> None:
    running = follow(spec=GoalSpec(phases={"1": PHASE}))
    assert set(running.forecasts) == {"1"}
    assert not running.rehearsals
    assert running.forecasts["1"].months[-1] == dt.date(2020, 12, 31)
    ended = follow(spec=GoalSpec(phases={"1": GoalPhase(last_start=dt.date(2020, 3, 31), ends=dt.date(2020, 5, 31))}))
    assert not ended.forecasts
    assert ended.rehearsals["1"].made == dt.date(2020, 3, 31)
    assert not follow().forecasts  # the plan does not say when it ends
    assert forecast_count(standing([], [], []), until=UNTIL, last_start=UNTIL, ends=dt.date(2020, 12, 31)) is None


# --- what is refused


def test_a_list_that_cannot_be_counted_is_refused() -> None:
    with pytest.raises(InputError, match="must have one row per person and phase; 1 of 9 rows does not, first at row 9"):
        follow([*SIX, SIX[0]])
    with pytest.raises(InputError, match="resultat_datum: is not a column of projekt_deltagande"):
        follow_goals(participation().drop(columns=["resultat_datum", "fas"]), GoalSpec(), until=UNTIL)
    with pytest.raises(InputError, match="must be in individ; 1 of 7 rows does not"):
        follow(groups=pd.DataFrame({"kon": ["1"] * 5}, index=list("abcdf")))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: GoalSpec(by=("age",)), "age: must be among kon"),
        (lambda: GoalSpec(horizons_months=(0,)), "at least 1"),
        (lambda: GoalVersion(goal="1", version=1, persons=10, source=Words(sv="x", en="x"), target=3), "Extra inputs are not permitted"),
    ],
)
def test_a_spec_that_means_nothing_is_refused(wrong: Callable[[], object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        wrong()


def test_the_table_is_the_count_month_by_month() -> None:
    found = follow()
    table = found.to_frame()
    assert table.columns.tolist() == ["phase", "by", "level", "month", "started", "exits"]
    for row in table.itertuples(index=False):
        assert found.count(row.phase, row.by, row.level, row.month.date()) == (row.started, row.exits)
    table.loc[:, "exits"] = -1
    assert (found.monthly["exits"] >= 0).all()  # what is given is the reader's own
