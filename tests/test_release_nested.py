"""Lines of a table of which some lie within others: who reads two of them and knows so works out nothing of few."""

import itertools
import runpy
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from evaluation.analysis.estimates import Clusters, Estimate
from evaluation.analysis.exits import OutcomeSpec, observe_outcomes
from evaluation.analysis.means import Contrast
from evaluation.design.risk_sets import select_cohort
from evaluation.plan import RegisterPlan, load_plan
from evaluation.registers.cleaning import clean_registers
from evaluation.registers.states import observe_states
from evaluation.registers.synthetic.simulate import simulate_registers
from evaluation.registers.validation import read_registers
from evaluation.release.contrasts import ReleasedContrast
from evaluation.release.definitions import TO_STUDIES, TO_WORK, within_definitions
from evaluation.release.nested import Cell, Standing, Within, neighbours, nested_shares
from evaluation.release.rules import ReleaseRules, release_rules
from evaluation.release.telling import Telling, Told

attack = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("attack.py"))))

REPORTS = Path(__file__).parents[1] / "reports"
PEOPLE = 200
RULES = ReleaseRules()
Exact = Mapping[str, tuple[int, int]]  # by line, those of either arm who have it


def share(have: float, people: int = PEOPLE) -> Estimate:
    rows = np.arange(people)
    part = have / people
    influence = np.resize([1.0, -1.0], people) * np.sqrt(part * (1 - part)) / people
    return Estimate("share", part, influence, Clusters(rows, rows, np.ones(people)), "probability", n=people)


def contrast(have: tuple[float, float], people: tuple[int, int] = (PEOPLE, PEOPLE)) -> Contrast:
    treated, control = (share(*pair) for pair in zip(have, people, strict=True))
    return Contrast(
        treated, control, Estimate("gap", treated.value - control.value, share(50).influence, treated.clusters, "probability", n=people[0])
    )


def shown_alone(name: str, exact: Contrast) -> ReleasedContrast:
    return Telling(RULES).shares("alone", {name: exact})[name]


def told(
    own: str, exact: Exact, earlier: Sequence[Told] = (), *, protected: bool = True, stands: Mapping[str, ReleasedContrast] | None = None
) -> tuple[dict[str, ReleasedContrast], Told]:
    """Give the table of definitions as it is shown, or as it would be if each line passed by itself, and what of it goes into the ledger."""
    lines = {name: contrast(have) for name, have in exact.items()}
    elsewhere = {name: (stands or {}).get(name) or shown_alone(name, lines[name]) for name in exact if name in (own, TO_WORK, TO_STUDIES)}
    others = {name: one for name, one in lines.items() if name not in elsewhere}
    within = within_definitions(own, others) if protected else ()  # type: ignore[arg-type]
    telling = Telling(RULES, earlier)
    standing = {name: Standing(one, lines[name]) for name, one in elsewhere.items()}
    return nested_shares(telling, "definitions", others, within, standing=standing) | elsewhere, telling.told


def few_between(shown: Mapping[str, ReleasedContrast], within: Sequence[tuple[str, Sequence[str]]]) -> list[tuple[str, int]]:
    """Name the pairs, and the arm, of which a reader who knows what lies within what works out that somebody and few have one and not the others."""
    found = []
    for side, (larger, smaller) in itertools.product(range(2), within):
        counts = {}
        for name in (larger, *smaller):
            one = shown.get(name)
            value = None if one is None else (one.treated, one.control)[side].value
            counts[name] = None if value is None or one is None else round(value * (one.people[side] or 0))
        if any(count is None for count in counts.values()):
            continue
        ends = attack.interval("rest", counts, [(larger, (*smaller, "rest"))], extra={"rest": (None, None)})
        found += [(f"{larger} without {' and '.join(smaller)}", side)] if attack.is_few(*ends) else []
    return found


ALL_OF_PROJECT = [("project", ["strict"]), ("project", ["studies"]), ("project", ["strict", "studies"]), ("strict", [TO_WORK])]

# --- what lies within what


DEFINITIONS = ("strict", "project", "studies", "independent")
HORIZONS = (183, 365, 548, 730)


@pytest.fixture(scope="module", params=[0, 60], ids=["any exit", "lasting 60 days"])
def successes(request: pytest.FixtureRequest) -> Mapping[str, np.ndarray]:
    """Days to success by each definition, and to unsubsidised work and studies as first exits, of who may be compared in a synthetic delivery."""
    registers = clean_registers(read_registers(simulate_registers(80, 500, seed=5).tables))
    plan = load_plan(REPORTS / "malmokraften")
    assert isinstance(plan, RegisterPlan)
    cohort, states = select_cohort(registers, plan.cohort), observe_states(registers)
    found = {}
    for name in DEFINITIONS:
        spec = OutcomeSpec(definition=name, sustained_days=request.param)
        seen = observe_outcomes(states, cohort, spec)
        state = np.asarray(seen.state, dtype=str)
        found[name] = np.where(np.isin(state, spec.success(registers.registers.contract)), seen.days, np.inf)
        if name == "project":
            found[TO_WORK] = np.where(state == "arbete_osubventionerat", seen.days, np.inf)
        if name == "strict":
            found[TO_STUDIES] = np.where(state == "studier_reguljara", seen.days, np.inf)
        found[f"{name}, reach"] = seen.reach
    return found


@pytest.mark.parametrize("own", ["project", "strict", "studies"])
def test_who_has_success_by_one_definition_has_it_by_those_it_is_said_to_lie_within(successes: Mapping[str, np.ndarray], own: str) -> None:
    relations = [one for one in within_definitions(own, DEFINITIONS) if one.larger.part == "having"]  # type: ignore[arg-type]
    assert relations
    for one, horizon in itertools.product(relations, HORIZONS):
        inside = np.array([successes[cell.line] <= horizon for cell in one.smaller])
        assert inside.any(axis=1).all()
        assert inside.sum(axis=0).max() == 1  # nobody is in two
        assert not (inside.any(axis=0) & ~(successes[one.larger.line] <= horizon)).any()


def test_success_by_pay_lies_within_no_other_and_no_other_within_it(successes: Mapping[str, np.ndarray]) -> None:
    pay = successes["independent"] <= HORIZONS[-1]
    for name in ("strict", "project", "studies"):
        other = successes[name] <= HORIZONS[-1]
        assert (pay & ~other).any()
        assert (other & ~pay).any()


def test_who_can_be_followed_by_pay_can_be_followed_by_the_others(successes: Mapping[str, np.ndarray]) -> None:
    order = [successes[f"{name}, reach"] > 0 for name in ("independent", "studies", "project", "strict")]
    assert all((later | ~earlier).all() for earlier, later in itertools.pairwise(order))
    assert (order[-1] & ~order[0]).any()


# --- the attack


def worlds() -> list[dict[str, tuple[int, int]]]:
    """Two hundred in either arm: few have a subsidised job in the one, in the other nobody or many."""
    found = []
    for subsidised, late, studies in itertools.product((0, 1, 4, 7, 12), (0, 2, 6), (3, 12, 30)):
        treated = {"project": 118, "strict": 118 - studies - subsidised + late, "studies": studies}
        if treated["strict"] + studies > treated["project"]:
            continue
        treated[TO_WORK] = 118 - studies - subsidised
        control = {"project": 100, "strict": 60, "studies": 25, TO_WORK: 45}
        found.append({name: (treated[name], control[name]) for name in treated})
    return found


@pytest.mark.parametrize("own", ["project", "studies", "strict"])
def test_nothing_of_few_is_read_off_two_definitions_of_success(own: str) -> None:
    broken, hidden, lines = 0, 0, 0
    for world in worlds():
        other_way_out = {TO_STUDIES if own == "strict" else TO_WORK: world["studies" if own == "strict" else TO_WORK]}
        exact = {name: world[name] for name in ("project", "strict", "studies")} | other_way_out
        shown, _ = told(own, exact)
        assert few_between(shown, ALL_OF_PROJECT) == []
        assert shown[own].difference.value == shown_alone(own, contrast(exact[own])).difference.value
        broken += bool(few_between(told(own, exact, protected=False)[0], ALL_OF_PROJECT))
        hidden += sum(one.hidden for one in shown.values())
        lines += len(shown)
    assert broken > 2  # line by line it is read off
    assert hidden < lines / 3


@pytest.mark.hand
def test_of_two_definitions_the_study_s_own_is_shown() -> None:
    """118 by the project's words are shown as 120 and 113 by the strict one as 115: between them lie one to nine."""
    exact = {"project": (118, 100), "strict": (113, 60)}
    assert few_between(told("project", exact, protected=False)[0], ALL_OF_PROJECT) == [("project without strict", 0)]
    for own, other in (("project", "strict"), ("strict", "project")):
        shown, ledger = told(own, exact)
        assert (shown[own].hidden, shown[other].hidden) == (False, True)
        assert shown[other].people == (PEOPLE, PEOPLE)
        assert ledger[f"definitions: {other}, treated"].value is None  # what is not on the page is not in the ledger either
        assert ledger[f"definitions: {other}, treated, people"].value == PEOPLE


@pytest.mark.hand
def test_two_that_are_alike_or_differ_by_many_are_both_shown() -> None:
    for strict in (118, 116, 112, 60):  # shown as 120, 115 becomes 110
        shown, _ = told("project", {"project": (118, 100), "strict": (strict, 60)})
        assert shown["strict"].hidden is ((strict == 116 and False) or round_five(118) - round_five(strict) == attack.BASE)


def round_five(count: int) -> int:
    return (count + 2) // 5 * 5


def test_beside_the_ledger_too_nothing_of_few_is_read_off_and_a_line_that_stands_shows_nobody() -> None:
    """Held counts lie farther from the exact ones, and may stand in the wrong order; what was hidden is not shown again because of one person."""
    crossed = 0
    for first in worlds():
        own = first["project"]
        before, ledger = told("project", first)
        for moved in (-3, -1, 1, 3):
            second = {**first, "strict": (first["strict"][0] + moved, first["strict"][1])}
            if second["strict"][0] + second["studies"][0] > own[0] or second["strict"][0] < second[TO_WORK][0]:
                continue
            stands = {name: before[name] for name in ("project", TO_WORK)}
            after, _ = told("project", second, [ledger], stands=stands)
            assert few_between(after, ALL_OF_PROJECT) == []
            for name in ("strict", "studies"):
                assert after[name].hidden == before[name].hidden
                assert after[name].treated.value == before[name].treated.value
            crossed += told("project", second)[0]["strict"].hidden is not before["strict"].hidden
    assert crossed  # without the ledger a person shows a line, or hides it


@pytest.mark.hand
def test_a_line_that_stands_above_what_it_lies_within_goes() -> None:
    ledger = told("project", {"project": (150, 100), "strict": (125, 60)})[1]
    low = contrast((115, 100))
    shown, _ = told("project", {"project": (116, 100), "strict": (116, 60)}, [ledger], stands={"project": shown_alone("project", low)})
    assert shown["strict"].hidden


# --- people, and lines that may be weighted


def standing_people(name: str, people: int) -> dict[str, Standing]:
    exact = contrast((60, 60), (people, PEOPLE))
    return {name: Standing(shown_alone(name, exact), exact)}


@pytest.mark.hand
@pytest.mark.parametrize(("followed", "hidden"), [(198, False), (194, True), (185, False)])
def test_a_definition_by_which_few_fewer_can_be_followed_is_not_shown_nor_how_many(followed: int, hidden: bool) -> None:
    """200 are shown as 200, 194 as 195 and 185 as they are."""
    lines = {"independent": contrast((60, 60), (followed, PEOPLE))}
    within = within_definitions("project", lines)
    shown = nested_shares(Telling(RULES), "definitions", lines, within, standing=standing_people("project", 200))
    assert shown["independent"].hidden is hidden
    assert (shown["independent"].people == (None, None)) is hidden


@pytest.mark.hand
def test_who_can_be_followed_for_longer_is_held_against_who_can_for_less_time() -> None:
    """100, 93 and 80 who found work: the middle line goes, for it lies few from the first."""
    lines = {name: contrast((40, 40), (people, 150)) for name, people in (("365", 80), ("180", 94), ("90", 100))}
    shown = nested_shares(Telling(RULES), "lasting", lines, neighbours(list(lines), "people"))
    assert [name for name, one in shown.items() if one.hidden] == ["180"]
    assert [one.people[0] for one in shown.values()] == [80, None, 100]


@pytest.mark.hand
@pytest.mark.parametrize(("have", "hidden"), [(106.0, True), (106.4, False)])
def test_people_are_held_against_who_has_success_where_that_is_a_number_of_people(have: float, hidden: bool) -> None:
    """106 with success and 100 of them followed on; 106.4 is weighted, and no number of people."""
    whole = Standing(shown_alone("success", contrast((have, 100))), contrast((have, 100)))
    lines = {"90": contrast((40, 40), (100, 60))}
    shown = nested_shares(Telling(RULES), "lasting", lines, [Within(Cell("success"), (Cell("90", "people"),))], standing={"success": whole})
    assert shown["90"].hidden is hidden


def test_the_last_to_go_goes_where_no_other_will_do() -> None:
    lines = {"183": contrast((56, 56)), "365": contrast((62, 62))}
    for last in lines:
        shown = nested_shares(Telling(RULES), "never", lines, neighbours(["183", "365"]), last=[last])
        assert {name: one.hidden for name, one in shown.items()} == {name: name != last for name in lines}


@pytest.mark.hand
@pytest.mark.parametrize(("followed", "hidden"), [(200, True), (195, True), (180, False)])
def test_success_by_two_days_is_held_only_where_the_same_people_are_followed(followed: int, hidden: bool) -> None:
    """60 by the one day and 65 by the other, of 180 who are followed to it: who of the 60 is among them is not known."""
    lines = {"183": contrast((60, 60)), "365": contrast((65, 80), (followed, PEOPLE))}
    shown = nested_shares(Telling(RULES), "never", lines, neighbours(["183", "365"]))
    assert any(one.hidden for one in shown.values()) is hidden


def test_where_everything_is_let_through_nothing_is_withheld() -> None:
    lines = {"183": contrast((56, 56)), "365": contrast((62, 62))}
    shown = nested_shares(Telling(release_rules(0)), "never", lines, neighbours(["183", "365"]))
    assert [one.treated.value for one in shown.values()] == [0.28, 0.31]
