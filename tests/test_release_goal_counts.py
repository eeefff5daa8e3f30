"""The counts of the goals pass the gate with those of the study: neither by itself nor against the other is anything of few worked out."""

import datetime as dt
import itertools
import runpy
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from evaluation.analysis.goals import GoalFollowUp, GoalPhase, GoalSpec, GoalVersion, PublishedCount, Words, follow_goals, wilson_interval
from evaluation.release.counts import Counts, join_counts
from evaluation.release.goal_counts import goal_counts, judged_day, left_cell, link_to_study, quarter_days, started_cell, within_cell
from evaluation.release.released import ReleasedCounts, release_counts, release_proportion
from evaluation.release.rules import ReleaseRules, bounds_of

attack = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("attack.py"))))

UNTIL = dt.date(2021, 3, 31)
ENDS = dt.date(2020, 12, 31)
RULES = ReleaseRules()


def follow_up(n: int = 300, seed: int = 2, unknown: int = 5, turned: int = 0) -> GoalFollowUp:
    rng = np.random.default_rng(seed)
    start = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 450, n), "D")
    waited = pd.to_timedelta(rng.integers(20, 500, n), "D")
    left = np.where(rng.random(n) < 0.6, "arbete", "annat")
    left[np.flatnonzero(left == "annat")[:turned]] = "arbete"
    people = [f"p{number}" for number in range(n)]
    table = pd.DataFrame({"lopnr": people, "fas": "2.0", "start_datum": start, "slut_datum": start + waited})
    table["projekt_resultat"], table["resultat_datum"] = left, start + waited
    groups = pd.DataFrame({"kon": rng.choice(["1", "2"], n), "fodd_utanfor_europa": rng.choice(["ja", "nej"], n)}, index=people)
    groups.iloc[:unknown, 1] = "okand"
    published = (PublishedCount(goal="2.0", persons=1, until=dt.date(2020, 11, 30), source=Words(sv="a", en="a")),)
    spec = GoalSpec(phases={"2.0": GoalPhase(last_start=ENDS, ends=ENDS)}, published=published, horizons_months=(12, 6))
    return follow_goals(table, spec, until=UNTIL, groups=groups)


def worked_out(counts: Counts, shown: dict[str, int | None], *, exact: bool = False) -> list[str]:
    """Name what an attacker works out to be of somebody and of few, who knows every sum and every pair."""
    rests = {f"{larger} without {smaller}": (larger, smaller) for larger, smaller in counts.pairs}
    sums = [*counts.sums, *((larger, [smaller, rest]) for rest, (larger, smaller) in rests.items())]
    few = [name for name, count in counts.cells.items() if count < attack.THRESHOLD]
    few += [rest for rest, (larger, smaller) in rests.items() if 0 < counts.cells[larger] - counts.cells[smaller] < attack.THRESHOLD]
    return [name for name in few if attack.is_few(*attack.interval(name, shown, sums, exact=exact, extra=dict.fromkeys(rests, (0, None))))]


def test_nothing_of_few_is_worked_out_of_the_follow_up_of_the_goals() -> None:
    for seed in (2, 3):
        counts = goal_counts(follow_up(seed=seed))
        assert worked_out(counts, dict(release_counts(counts).released.shown)) == []
        table_by_table = {name: None if 0 < count < attack.THRESHOLD else count for name, count in counts.cells.items()}
        assert worked_out(counts, table_by_table, exact=True)


def test_the_day_a_goal_s_own_time_was_up_passes_with_the_quarters() -> None:
    """The end of a month within a quarter, and one after the phase's own end."""
    found = follow_up()
    periods = {
        "2020-01-01/2020-05-31": dt.date(2020, 5, 31),
        "2020-01 - 2021-02": dt.date(2021, 2, 28),
        "2020-01-01/2020-06-15": dt.date(2020, 5, 31),
    }
    versions = tuple(GoalVersion(goal="2.0", version=1, persons=10, period=period, source=Words(sv="a", en="a")) for period in periods)
    with_goals = replace(found, versions=versions)
    assert [judged_day(with_goals, one) for one in versions] == list(periods.values())
    counts = goal_counts(with_goals)
    new = {name("2.0", day) for name in (started_cell, left_cell) for day in periods.values()}
    assert new <= set(counts.cells)
    assert not new & set(goal_counts(found).cells)
    assert worked_out(counts, dict(release_counts(counts).released.shown)) == []


def test_every_two_counts_of_a_growing_number_are_held_against_each_other() -> None:
    """Not only neighbours: two quarters on either side of a hidden one too."""
    found = follow_up(n=800)
    shown = release_counts(goal_counts(found)).released.shown
    for name in (started_cell, left_cell):
        told = [count for day in quarter_days(found, "2.0") if (count := shown[name("2.0", day)]) is not None]
        gaps = [later - earlier for earlier, later in itertools.combinations(told, 2)]
        assert len(told) > 2
        assert not [gap for gap in gaps if attack.is_few(gap - 2 * attack.ROUNDING, gap + 2 * attack.ROUNDING)]


@pytest.mark.hand
@pytest.mark.parametrize("between", [6, 7])
def test_a_quarter_in_which_few_started_is_not_read_off_two_others(between: int) -> None:
    """A hundred and a few, and then a hundred more: rounded by themselves the first two quarters would lie five apart."""
    months = ["2020-01-15"] * 100 + ["2020-05-15"] * between + ["2020-08-15"] * 100
    table = pd.DataFrame({"lopnr": [f"p{number}" for number in range(len(months))], "fas": "2.0", "start_datum": pd.to_datetime(months)})
    table = table.assign(slut_datum=pd.NaT, projekt_resultat=None, resultat_datum=pd.NaT)
    counts = goal_counts(follow_goals(table, GoalSpec(), until=dt.date(2020, 9, 30)))
    days = [dt.date(2020, 3, 31), dt.date(2020, 6, 30), dt.date(2020, 9, 30)]
    for shown, told in ((release_counts(counts).released.shown, False), (release_counts(Counts(counts.cells)).released.shown, True)):
        known = [count for day in days if (count := shown[started_cell("2.0", day)]) is not None]
        gaps = [later - earlier for earlier, later in itertools.pairwise(known)]
        assert any(attack.is_few(gap - 2 * attack.ROUNDING, gap + 2 * attack.ROUNDING) for gap in gaps) is told
        assert known


def test_a_release_that_differs_by_one_person_looks_the_same_or_by_a_whole_step() -> None:
    worlds = [goal_counts(follow_up(turned=turned)) for turned in (0, 1)]
    assert sum(one != other for one, other in zip(*(world.cells.values() for world in worlds), strict=True)) > 5
    first, second = (release_counts(world).released.shown for world in worlds)
    steps = [abs(one - other) for one, other in zip(first.values(), second.values(), strict=True) if one is not None and other is not None]
    assert set(steps) <= {0, attack.BASE}


@pytest.mark.hand
def test_participants_cannot_be_taken_from_everybody_who_started() -> None:
    """Of 300 who started 293 are in the study: the seven who are not would be read off two tables that pass apart."""
    goals = goal_counts(follow_up())
    study = Counts({"treated": 293})
    joined = link_to_study(join_counts(study, goals), [("", "", "treated"), ("kon", "1", "treated")])
    assert ("goals, started", "treated") in joined.nested
    assert goals.cells["goals, started"] == 300
    apart = dict(release_counts(study).released.shown) | dict(release_counts(goals).released.shown)
    assert "goals, started without treated" in worked_out(joined, apart)
    assert worked_out(joined, dict(release_counts(joined).released.shown)) == []


def test_a_group_that_is_larger_than_what_it_should_lie_in_is_not_tied() -> None:
    goals = goal_counts(follow_up())
    joined = link_to_study(join_counts(Counts({"treated": 293}), goals), [("kon", "1", "treated"), ("alder", "1", "treated")])
    assert joined.nested == goals.nested  # 293 are not among some 150 women, and there is no such breakdown


def test_who_left_within_a_shorter_time_left_within_a_longer_whatever_order_the_plan_has() -> None:
    counts = goal_counts(follow_up(n=200))
    assert all(counts.cells[larger] >= counts.cells[smaller] for larger, smaller in counts.pairs)
    assert within_cell("2.0", 6) in counts.cells


def counted(**shown: int) -> ReleasedCounts:
    """Let counts through that are shown as they are said."""
    return release_counts(Counts(dict(shown)), RULES).released


@pytest.mark.property
@pytest.mark.parametrize(("have", "people"), [(10, 20), (15, 200), (190, 200), (60, 60), (700, 2000)])
def test_the_interval_holds_that_of_every_pair_of_counts_it_may_be_of(have: int, people: int) -> None:
    found = release_proportion(counted(have=have, people=people), "have", "people", 0.95)
    assert found.value == have / people
    had, were = bounds_of(have, RULES), bounds_of(people, RULES)
    every = [
        wilson_interval(one, among, 0.95)
        for one, among in itertools.product(range(had.low, had.high + 1), range(were.low, were.high + 1))
        if one <= among
    ]
    assert found.low <= min(low for low, _ in every) + 1e-12
    assert found.high >= max(high for _, high in every) - 1e-12


def test_a_share_of_few_has_no_interval_either() -> None:
    found = release_proportion(counted(have=5, people=200), "have", "people", 0.95)
    assert (found.value, found.low, found.high) == (None, None, None)
