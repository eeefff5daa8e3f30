"""What has come through the gate: made there only, worked out from rounded numbers only, withheld where it would tell of few."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.analysis.estimates import Clusters, Estimate
from evaluation.errors import InputError
from evaluation.release.counts import Counts
from evaluation.release.ledger import read_ledger
from evaluation.release.released import (
    ReleasedCounts,
    ReleasedNumber,
    release_contrast,
    release_counts,
    release_estimate,
    release_share,
    require_released,
)
from evaluation.release.rules import ReleaseRules, count_of

ROUNDING = 1e-9  # of sums of a few fractions
RULES = ReleaseRules()


def estimate(value: float, error: float, unit="probability") -> Estimate:
    one = np.array([0])
    return Estimate("a share", value, np.array([error]), Clusters(one, one, np.ones(1)), unit, n=100)


def counts(people: int = 403, have: int = 161) -> ReleasedCounts:
    return release_counts(Counts({"people": people, "have": have}, having=(("people", "have"),)), RULES).released


@pytest.mark.hand
def test_shares_are_of_rounded_counts() -> None:
    found = counts()
    assert found.shown == {"people": 405, "have": 160}
    assert release_share(found, "have", "people").value == 160 / 405
    assert found.number("have").value == 160


@pytest.mark.hand
@pytest.mark.parametrize(
    ("people", "have"), [(403, 3), (403, 399), (17, 11), (40, 40), (30, 0), (9, 4)], ids=["few", "few without", "of few", "all", "none", "few in all"]
)
def test_a_share_that_would_tell_of_few_is_withheld(people: int, have: int) -> None:
    found = counts(people, have)
    assert release_share(found, "have", "people").value is None
    assert release_estimate(estimate(have / people, 0.02), found, "have", "people").value is None


@pytest.mark.hand
@pytest.mark.parametrize(("share_people", "shown"), [(40, True), (45, False)])
def test_a_share_of_fewer_people_than_the_site_says_is_withheld(share_people: int, shown: bool) -> None:
    half = Counts({"people": 41, "have": 20}, having=(("people", "have"),))
    found = release_counts(half, ReleaseRules(share_people=share_people)).released
    assert release_share(found, "have", "people").value == (0.5 if shown else None)


@pytest.mark.hand
@pytest.mark.parametrize(("people", "value"), [(40, None), (400, 1.0)])
def test_a_hundred_per_cent_of_a_small_group_is_withheld_even_where_both_counts_are_shown(people: int, value: float | None) -> None:
    found = release_counts(Counts({"before": people, "after": people}, nested=(("before", "after"),)), RULES).released
    assert found.shown == {"before": people, "after": people}
    assert release_share(found, "after", "before").value == value


@pytest.mark.hand
def test_an_estimate_is_rounded_as_its_count_and_its_interval_is_laid_around_it() -> None:
    """0.401 of 405 people are 162.4, so 160 of them; 1.96 times 0.02 is 0.0392, 15.9 people, and 2.5 for the rounding, so 20."""
    found = release_estimate(estimate(0.401, 0.02), counts(), "have", "people")
    assert found.value == pytest.approx(160 / 405)
    assert found.low == pytest.approx(140 / 405)
    assert found.high == pytest.approx(180 / 405)


@pytest.mark.property
@given(value=st.floats(0.2, 0.8), error=st.floats(0.001, 0.1))
def test_the_middle_of_the_interval_tells_no_more_than_the_rounded_value(value: float, error: float) -> None:
    exact, passed = estimate(value, error), counts(1_000, count_of(value, 1_000, RULES))
    found = release_estimate(exact, passed, "have", "people")
    middle = (found.low + found.high) / 2 if found.low > 0 and found.high < 1 else found.value
    assert middle == pytest.approx(found.value, abs=ROUNDING)
    assert abs(found.value - value) <= 2.5 / 1_000 + ROUNDING
    assert min(found.high, 1.0) - max(found.low, 0.0) + ROUNDING >= min(exact.high, 1.0) - max(exact.low, 0.0) - 0.005


@pytest.mark.hand
def test_a_difference_is_of_released_shares() -> None:
    arms = release_counts(Counts({"t": 203, "t+": 120, "c": 399, "c+": 160}, having=(("t", "t+"), ("c", "c+"))), RULES).released
    treated = release_estimate(estimate(0.59, 0.03), arms, "t+", "t")
    control = release_estimate(estimate(0.40, 0.02), arms, "c+", "c")
    found = release_contrast(treated, control, estimate(0.19, 0.036), arms, ("t", "c"))
    assert found.value == pytest.approx(120 / 205 - 160 / 400)
    step = 5 / 205
    assert found.high - found.value == pytest.approx(
        4 * step
    )  # 1.96 times 0.036 is 2.9 steps; rounding moved the shares by half and a quarter at most
    hidden = ReleasedNumber("share", None, seal=treated.seal)
    assert release_contrast(hidden, control, estimate(0.19, 0.036), arms, ("t", "c")).value is None


@pytest.mark.parametrize(
    "make",
    [
        lambda: ReleasedNumber("people", 3),
        lambda: ReleasedCounts({"people": 3}, RULES),
        lambda: ReleasedNumber("people", 3, seal=object()),
    ],
)
def test_nothing_is_released_that_the_gate_has_not_made(make) -> None:
    with pytest.raises(InputError, match="can be made by the gate only"):
        make()


def test_a_page_takes_released_things_only_and_does_not_say_what_the_others_were() -> None:
    require_released([counts(), counts().number("people")])
    with pytest.raises(InputError, match=r"may hold released things only; 2 have not passed the gate \(int, str\)") as raised:
        require_released([counts(), 4711, "4711"])
    assert "4711" not in str(raised.value)


def test_the_reviewer_sees_why_each_cell_is_hidden_and_the_release_does_not() -> None:
    passage = release_counts(Counts({"people": 403, "have": 3}), RULES)
    assert passage.audit.to_dict("records") == [{"cell": "have", "reason": "few"}]
    assert "few" not in repr(passage.released)


def test_a_ledger_comes_back_as_it_was_written(tmp_path) -> None:
    first = release_counts(Counts({"women, born here": 102, "men": 4}), RULES).released
    ledger = read_ledger(tmp_path / "none.csv").with_release("2024-06", "participants", first)
    file = tmp_path / "release_ledger.csv"
    file.write_text(ledger.to_csv(), encoding="utf-8")
    again = read_ledger(file)
    assert again.earlier("participants") == [{"women, born here": 100, "men": None}]
    assert again.earlier("others") == []
    assert again.to_csv() == ledger.to_csv()
    assert "102" not in ledger.to_csv()
    with pytest.raises(InputError, match="has this release already"):
        again.with_release("2024-06", "participants", first)


@pytest.mark.parametrize(
    ("text", "message"), [("release,cell\n", "is not a column"), ("release,population,cell,released\na,b,c,many\n", "must be a table")]
)
def test_what_is_no_ledger_is_refused(tmp_path, text: str, message: str) -> None:
    file = tmp_path / "release_ledger.csv"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        read_ledger(file)


@pytest.mark.hand
def test_threshold_nought_and_base_one_let_everything_through() -> None:
    found = release_counts(Counts({"people": 3, "have": 0}, having=(("people", "have"),)), ReleaseRules(threshold=0, base=1))
    assert found.released.shown == {"people": 3, "have": 0}
    assert found.audit.empty
