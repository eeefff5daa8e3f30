"""Attacks on tables: nothing under the threshold can be read or worked out of what the gate lets through, and can of what it does not."""

import itertools
import runpy
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.errors import InputError
from evaluation.release.counts import Counts, join_counts
from evaluation.release.ledger import read_ledger
from evaluation.release.released import release_counts
from evaluation.release.rules import ReleaseRules, bounds_beside, bounds_of, count_beside, gives_away, round_count
from evaluation.release.suppression import protect_counts

attack = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("attack.py"))))

RULES = ReleaseRules()
WHOLE = "all"  # the level of a margin
SECONDS = 3.0  # for 500 cells, which take a tenth of a second on a quiet machine
SMALL_WORLD = {("women", "Sweden"): 120, ("women", "outside Europe"): 3, ("men", "Sweden"): 96, ("men", "outside Europe"): 57}


def crossed_counts(population: str, counts: Mapping[tuple[str, ...], int], impossible: Sequence[tuple[str, ...]] = ()) -> Counts:
    """Give a crossing of breakdowns, people by their levels, with every margin; combinations that are `impossible` can hold nobody."""
    axes = [list(dict.fromkeys(key[axis] for key in counts)) for axis in range(len(next(iter(counts))))]
    keys = list(itertools.product(*([*levels, WHOLE] for levels in axes)))
    cells = {key: sum(count for inner, count in counts.items() if within(inner, key)) for key in keys}
    sums = [
        (cell_name(population, *key), tuple(cell_name(population, *key[:axis], level, *key[axis + 1 :]) for level in levels))
        for axis, levels in enumerate(axes)
        for key in keys
        if key[axis] == WHOLE and len(levels) > 1
    ]
    nobody = frozenset(cell_name(population, *key) for key in impossible)
    return Counts({cell_name(population, *key): count for key, count in cells.items()}, tuple(sums), impossible=nobody)


def cell_name(population: str, *levels: str) -> str:
    return f"{population}: {', '.join(levels)}"


def within(key: tuple[str, ...], margin: tuple[str, ...]) -> bool:
    return all(level in (own, WHOLE) for own, level in zip(key, margin, strict=True))


def unprotected(counts: Counts) -> dict[str, int | None]:
    """Hide the few and nothing else, and round nothing, as a table that is merely censored does."""
    return {name: None if count < RULES.threshold else count for name, count in counts.cells.items()}


@pytest.mark.hand
@pytest.mark.parametrize(("count", "rounded"), [(0, 0), (2, 0), (3, 5), (10, 10), (12, 10), (13, 15), (17, 15), (18, 20)])
def test_a_count_is_rounded_to_the_nearest_multiple_of_five(count: int, rounded: int) -> None:
    assert round_count(count, RULES) == rounded


@pytest.mark.hand
def test_who_knows_the_threshold_knows_that_ten_was_not_eight() -> None:
    assert bounds_of(10, RULES) == (10, 12)
    assert bounds_of(15, RULES) == (13, 17)
    assert bounds_of(20, ReleaseRules(base=10)) == (15, 24)


@pytest.mark.property
@settings(deadline=None)
@given(count=st.integers(0, 10_000), base=st.integers(1, 20), times=st.integers(0, 5))
def test_a_count_lies_within_what_its_rounded_number_says(count: int, base: int, times: int) -> None:
    rules = ReleaseRules(base=base, threshold=base * times)
    if count >= rules.threshold:
        low, high = bounds_of(int(round_count(count, rules)), rules)
        assert low <= count <= high
        assert high - low < base


@pytest.mark.hand
@pytest.mark.parametrize(
    ("low", "high", "away"), [(1, 9, True), (0, 9, False), (1, 10, False), (10, 12, False), (0, 0, False), (-9, -1, True), (-4, 4, False)]
)
def test_a_count_is_given_away_where_it_is_certainly_somebody_and_few(low: int, high: int, away: bool) -> None:
    assert gives_away(low, high, RULES) == away
    assert not gives_away(low, high, ReleaseRules(threshold=0))


def test_a_threshold_that_is_no_rounded_number_is_refused() -> None:
    with pytest.raises(ValueError, match="threshold must be a multiple of base"):
        ReleaseRules(threshold=7)


@pytest.mark.hand
def test_three_women_born_outside_europe_are_worked_out_of_a_censored_table_and_not_of_a_released_one() -> None:
    counts = crossed_counts("participants", SMALL_WORLD)
    three = cell_name("participants", "women", "outside Europe")
    assert attack.interval(three, unprotected(counts), counts.sums, exact=True) == (3, 3)
    shown = protect_counts(counts, RULES).shown
    found = attack.interval(three, shown, counts.sums)
    assert not attack.is_few(*found)
    assert not attack.is_pinned(*found)
    assert shown["participants: all, all"] == 275


def test_what_the_gate_says_of_its_worlds_is_true() -> None:
    """Every table with the same released numbers, tried one after the other: the proof's two values are among them."""
    counts = crossed_counts("p", {("a", "x"): 21, ("a", "y"): 3, ("b", "x"): 14, ("b", "y"): 16})
    protected = protect_counts(counts, RULES)
    found = attack.worlds(protected.shown, ("a", "b", "all"), ("x", "y", "all"), lambda row, column: cell_name("p", row, column), most=30)
    values = set(found[:, 0, 1].tolist())
    proof = protected.proof.set_index("count").loc["p: a, y"]
    assert {int(proof["low"]), int(proof["high"])} <= values
    assert 0 in values or max(values) >= RULES.threshold
    assert attack.interval("p: a, y", protected.shown, counts.sums)[0] == min(values)


@pytest.mark.hand
def test_without_rounding_the_classic_rectangle_is_hidden() -> None:
    """Three by three with one count of few: one more in its row, one in its column, and the corner that closes the rectangle; the totals stay."""
    table = {
        ("a", "x"): 3,
        ("a", "y"): 20,
        ("a", "z"): 90,
        ("b", "x"): 25,
        ("b", "y"): 30,
        ("b", "z"): 80,
        ("c", "x"): 70,
        ("c", "y"): 85,
        ("c", "z"): 95,
    }
    protected = protect_counts(crossed_counts("p", table), ReleaseRules(base=1))
    assert protected.audit.to_dict("list") == {
        "cell": ["p: a, x", "p: a, y", "p: b, x", "p: b, y"],
        "reason": ["few", "beside few", "beside few", "beside few"],
    }


@pytest.mark.property
@settings(max_examples=15, deadline=None)
@given(data=st.lists(st.integers(0, 40), min_size=12, max_size=12), base=st.sampled_from([1, 5]))
def test_no_attacker_works_a_small_count_out_of_any_table_with_its_margins(data: list[int], base: int) -> None:
    counts = crossed_counts("p", dict(zip(itertools.product("abc", "wxyz"), data, strict=True)))
    rules = ReleaseRules(base=base)
    shown = protect_counts(counts, rules).shown
    for name, count in counts.cells.items():
        assert shown[name] is None or count >= rules.threshold
        if count < rules.threshold:
            bounds = {cell: (said, said) if base == 1 and said is not None else attack.believed(said, exact=False) for cell, said in shown.items()}
            found = attack.interval(name, {}, counts.sums, extra=bounds)
            assert not attack.is_few(*found)
            assert not attack.is_pinned(*found)


@pytest.mark.property
@settings(max_examples=5, deadline=None)
@given(data=st.lists(st.integers(0, 40), min_size=12, max_size=12))
def test_three_breakdowns_crossed_are_as_safe_as_two(data: list[int]) -> None:
    counts = crossed_counts("p", dict(zip(itertools.product("ab", "xy", "123"), data, strict=True)))
    shown = protect_counts(counts, RULES).shown
    for name, count in counts.cells.items():
        if count < RULES.threshold:
            found = attack.interval(name, shown, counts.sums)
            assert not attack.is_few(*found)
            assert not attack.is_pinned(*found)


@pytest.mark.hand
@pytest.mark.parametrize(("outer", "inner"), [(103, 101), (102, 100), (105, 103), (1_003, 1_001)])
def test_nested_tables_that_differ_by_two_people_do_not_tell_so(outer: int, inner: int) -> None:
    pair = "started", "followed"
    sums = [("started", ["followed", "lost"])]
    exact = {"started": outer, "followed": inner}
    assert attack.interval("lost", exact, sums, exact=True, extra={"lost": (0, None)}) == (2, 2)
    shown = protect_counts(Counts(exact, nested=(pair,)), RULES).shown
    assert not attack.is_few(*attack.interval("lost", shown, sums, extra={"lost": (0, None)}))


def test_tables_of_nested_populations_do_not_tell_of_those_between_them() -> None:
    inner = crossed_counts("followed", {("women",): 101, ("men",): 140})
    outer = crossed_counts("started", {("women",): 103, ("men",): 140})
    nested = tuple((f"started: {level}", f"followed: {level}") for level in ("women", "men", "all"))
    counts = join_counts(outer, inner, Counts({**outer.cells, **inner.cells}, nested=nested))
    lost = [f"lost: {level}" for level in ("women", "men", "all")]
    sums = [*counts.sums, *((whole, [part, rest]) for (whole, part), rest in zip(nested, lost, strict=True)), ("lost: all", lost[:2])]
    unknown = dict.fromkeys(lost, (0, None))
    assert attack.interval("lost: women", dict(counts.cells), sums, exact=True, extra=unknown) == (2, 2)
    shown = protect_counts(counts, RULES).shown
    assert not any(attack.is_few(*attack.interval(name, shown, sums, extra=unknown)) for name in lost)


@pytest.mark.hand
@pytest.mark.parametrize(
    ("people", "have", "hidden"),
    [(40, 40, True), (40, 38, True), (30, 0, True), (400, 400, False), (400, 396, True), (400, 200, False)],
    ids=["all of few", "nearly all of few", "none", "all of many", "all but four", "half"],
)
def test_everybody_and_nobody_of_a_small_group_are_not_told(people: int, have: int, hidden: bool) -> None:
    counts = Counts({"people": people, "have": have}, having=(("people", "have"),))
    shown = protect_counts(counts, RULES).shown
    assert (shown["have"] is None) == hidden or shown["people"] is None
    rest = attack.interval("lack", shown, [("people", ["have", "lack"])], extra={"lack": (0, None)})
    assert not attack.is_few(*rest)
    exact = attack.interval("lack", counts.cells, [("people", ["have", "lack"])], exact=True, extra={"lack": (0, None)})
    assert exact == (people - have, people - have)


@pytest.mark.hand
@pytest.mark.parametrize("before", range(100, 106))
def test_two_releases_that_differ_by_one_person_show_the_same(before: int) -> None:
    first = release_counts(Counts({"women": before}), RULES)
    ledger = read_ledger().with_release("2024", "participants", first.released)
    second = release_counts(Counts({"women": before + 1}), RULES, ledger.earlier("participants"))
    assert second.released.shown["women"] == first.released.shown["women"]
    alone = release_counts(Counts({"women": before + 1}), RULES)
    assert (alone.released.shown["women"] != first.released.shown["women"]) == (before == 102)
    assert second.kept == ({"women": (100, 105)} if before == 102 else {})


@pytest.mark.hand
@pytest.mark.parametrize(
    ("count", "earlier", "shown"),
    [
        (105, [100], 100),  # 1 to 9 have come
        (110, [100], 110),  # 6 to 14
        (100, [105], 105),
        (105, [100, 110], 110),  # nearer neither; the newer stands, which the older had nothing against
        (110, [100, 105], None),  # such a ledger no run has written
        (105, [], 105),
    ],
)
def test_a_count_stands_as_it_was_while_few_have_come_or_gone(count: int, earlier: list[int], shown: int | None) -> None:
    assert count_beside(count, RULES, earlier) == shown


def told_histories(hide: bool) -> dict[tuple[int | None, ...], np.ndarray]:
    """Group every history of a count over three releases by what they showed of it; `hide` as the gate would if it hid what has changed by few."""
    found: dict[tuple[int | None, ...], list[tuple[int, ...]]] = {}
    for history in itertools.product(range(98, 123), repeat=3):
        shown: list[int | None] = []
        for count in history:
            before = [one for one in shown if one is not None]
            rounded = int(round_count(count, RULES))
            beside = count_beside(rounded, RULES, before)
            shown.append(None if hide and beside != rounded else beside)
        found.setdefault(tuple(shown), []).append(history)
    return {shown: np.array(histories) for shown, histories in found.items()}


def gives_a_change_away(histories: np.ndarray) -> bool:
    """Say whether between two releases, in every history that looks like this, somebody and fewer than ten have come or gone."""
    changes = (np.abs(histories[:, later] - histories[:, earlier]) for earlier, later in itertools.combinations(range(3), 2))
    return any((attack.is_few(int(change.min()), int(change.max()))) for change in changes)


def test_no_row_of_releases_tells_that_few_have_come_or_gone_and_hiding_the_count_would() -> None:
    for among in (lambda of: of, lambda of: of[(np.diff(of, axis=1) >= 0).all(axis=1)]):  # who knows that nobody has left reads no more in it
        assert not any(gives_a_change_away(kept) for of in told_histories(hide=False).values() if len(kept := among(of)))
        assert any(gives_a_change_away(kept) for of in told_histories(hide=True).values() if len(kept := among(of)))


def test_a_count_lies_within_what_is_known_of_it_beside_earlier_releases() -> None:
    for shown, histories in told_histories(hide=False).items():
        for release, one in enumerate(shown):
            assert one is not None
            low, high = bounds_beside(one, RULES, shown[:release])  # type: ignore[arg-type]
            assert low <= histories[:, release].min()
            assert histories[:, release].max() <= high


@pytest.mark.hand
def test_of_fewer_people_no_more_can_have_it_than_there_are() -> None:
    """The 31 who have it would stand as 35; but 61 people have become 32, which shows as 30."""
    counts = Counts({"people": 32, "have": 31}, having=(("people", "have"),))
    found = protect_counts(counts, RULES, [{"people": 60, "have": 35}])
    assert found.shown == {"people": 30, "have": None}


def change_attack(name: str, first: dict, second: dict, sums: list, *, exact: bool) -> tuple[float, float]:
    """Work out by how much a cell has grown, from both releases together, knowing that nobody has left."""
    then = [(f"{whole} then", [f"{part} then" for part in parts]) for whole, parts in sums]
    grown = [(cell, [f"{cell} then", f"{cell} new"]) for cell in second]
    shown = {**second, **{f"{cell} then": count for cell, count in first.items()}}
    extra: dict = {f"{cell} new": (0, None) for cell in second}
    for cell, count in second.items():
        if not exact and count is not None and count == first[cell]:
            low, high = attack.believed(count, exact=False)
            extra[cell] = max(low - attack.KEPT, attack.THRESHOLD), high + attack.KEPT
    return attack.interval(name, shown, [*sums, *then, *grown], exact=exact, extra=extra)


@pytest.mark.property
@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_two_releases_of_a_table_to_which_a_few_have_come_give_nobody_away(seed: int) -> None:
    rng = np.random.default_rng(seed)
    keys = list(itertools.product("abc", "xyz"))
    people = rng.negative_binomial(1, 0.03, len(keys))
    come = (rng.random(len(keys)) < 0.3) * rng.integers(1, 4, len(keys))
    first = crossed_counts("p", dict(zip(keys, people.tolist(), strict=True)))
    second = crossed_counts("p", dict(zip(keys, (people + come).tolist(), strict=True)))
    before = protect_counts(first, RULES).shown
    after = protect_counts(second, RULES, [before]).shown
    for cell in second.cells:
        assert not attack.is_few(*change_attack(f"{cell} new", before, after, second.sums, exact=False))
        for name in (cell, f"{cell} then"):
            if (second if name == cell else first).cells[cell] < RULES.threshold:
                assert not attack.is_few(*change_attack(name, before, after, second.sums, exact=False))


@pytest.mark.hand
def test_two_releases_that_hide_different_cells_are_read_together() -> None:
    """Unrounded: first 3 and 20 are hidden, then 3 and 90. Who knows that nobody left knows that the 90 are no fewer, so the 3 at most 3."""
    rules = ReleaseRules(base=1)
    first, second = (crossed_counts("p", {("a",): 3, ("b",): count, ("c",): 90}) for count in (20, 95))
    before = protect_counts(first, rules).shown
    assert before == {"p: a": None, "p: b": None, "p: c": 90, "p: all": 113}

    def read(after: dict[str, int | None]) -> tuple[float, float]:
        bounds = {cell: (0, None) if count is None else (count, count) for cell, count in after.items()}
        bounds |= {f"{cell} then": (0, None) if count is None else (count, count) for cell, count in before.items()}
        bounds |= {f"{cell} new": (0, None) for cell in after}
        then = [("p: all then", ["p: a then", "p: b then", "p: c then"])]
        grown = [(cell, [f"{cell} then", f"{cell} new"]) for cell in after]
        return attack.interval("p: a", {}, [*second.sums, *then, *grown], extra=bounds)

    alone = protect_counts(second, rules).shown
    assert alone == {"p: a": None, "p: b": 95, "p: c": None, "p: all": 188}
    assert read(alone) == (0, 3)
    assert not attack.is_pinned(*read(protect_counts(second, rules, [before]).shown))


@pytest.mark.hand
def test_two_unprotected_releases_give_the_one_who_came_away() -> None:
    first, second = (crossed_counts("p", {("women",): count, ("men",): 80}) for count in (102, 103))
    assert change_attack("p: women new", dict(first.cells), dict(second.cells), list(second.sums), exact=True) == (1, 1)
    rounded = [release_counts(counts, RULES).released.shown for counts in (first, second)]
    assert attack.is_few(*change_attack("p: women new", *rounded, list(second.sums), exact=False))  # rounding alone is not enough


def test_an_earlier_release_that_gave_few_away_stops_the_next() -> None:
    counts = crossed_counts("p", {("women",): 3, ("men",): 52})
    with pytest.raises(InputError, match="is given away by earlier releases"):
        protect_counts(counts, RULES, [{"p: women": None, "p: men": 50, "p: all": 55}])


def test_an_earlier_release_of_other_people_is_told_of() -> None:
    counts = crossed_counts("p", {("women",): 3, ("men",): 52})
    with pytest.raises(InputError, match="earlier releases: contradict"):
        protect_counts(counts, RULES, [{"p: women": 500, "p: men": 500, "p: all": 55}])


@pytest.mark.hand
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Counts({"a": 3}, sums=(("a", ("b",)),)), "b: is no cell"),
        (lambda: Counts({"a": 3, "b": 2}, sums=(("a", ("b",)),)), "a: is not the sum of its 1 parts"),
        (lambda: Counts({"a": 3, "b": 4}, nested=(("a", "b"),)), "b: counts more than a"),
        (lambda: Counts({"a": -1}), "a: counts fewer than nobody"),
        (lambda: Counts({"a": 1}, impossible=frozenset("a")), "a: counts somebody where nobody can be"),
        (lambda: join_counts(Counts({"a": 1}), Counts({"a": 2})), "a: is counted differently in two tables"),
    ],
)
def test_counts_that_contradict_themselves_are_refused_without_a_count(make, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()


@pytest.mark.hand
def test_a_cell_that_can_hold_nobody_is_shown_and_other_noughts_are_not() -> None:
    table = {("a", "x"): 60, ("a", "y"): 0, ("b", "x"): 0, ("b", "y"): 70}
    shown = protect_counts(crossed_counts("p", table, impossible=[("a", "y")]), RULES).shown
    assert shown["p: a, y"] == 0
    assert shown["p: b, x"] is None


@pytest.mark.property
@pytest.mark.parametrize("base", [1, 5])
def test_the_order_of_the_cells_moves_nothing(base: int) -> None:
    rng, rules = np.random.default_rng(5), ReleaseRules(base=base)
    cells = {(f"a{row}", f"b{column}"): int(rng.negative_binomial(1, 0.05)) for row in range(5) for column in range(4)}
    found = protect_counts(crossed_counts("p", cells), rules)
    again = protect_counts(crossed_counts("p", dict(reversed(cells.items()))), rules)
    assert found.shown == again.shown
    assert set(found.audit.itertuples(index=False)) == set(again.audit.itertuples(index=False))
    assert base == 5 or "beside few" in set(found.audit["reason"])


def test_five_hundred_cells_are_protected_in_a_moment() -> None:
    rng = np.random.default_rng(1)
    cells = {(f"a{row}", f"b{column}"): int(rng.negative_binomial(1, 0.02)) for row in range(20) for column in range(24)}
    counts = crossed_counts("p", cells)
    start = time.perf_counter()
    protected = protect_counts(counts, RULES)
    assert time.perf_counter() - start < SECONDS
    assert len(counts.cells) == 525
    assert len(protected.proof) == (protected.audit["reason"] == "few").sum() > 50
    for name, low, high in protected.proof.itertuples(index=False):
        assert low <= counts.cells[name] <= high
        assert not attack.is_few(low, high)
