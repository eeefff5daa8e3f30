"""What it cost, on the page: no cost without what it must be read with, no number where there is none, the same in both languages."""

import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast, get_args

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evaluation.analysis.costs import Budget, BudgetPart, Costs, CostSpec, Price, estimate_costs
from evaluation.analysis.estimates import Clusters, Estimate, Unit
from evaluation.analysis.goals import Words
from evaluation.analysis.means import Contrast, Totals
from evaluation.plan import RegisterPlan, load_plan
from evaluation.plan_sections import DisclosureSection, Language, SubgroupSection
from evaluation.registers.cleaning import clean_registers
from evaluation.registers.synthetic.simulate import simulate_registers
from evaluation.registers.validation import read_registers
from evaluation.release.released import ReleasedNumber
from evaluation.reporting.blocks import Items, Paragraph, Rows
from evaluation.reporting.costs import (
    account_table,
    actor_table,
    as_released,
    costs_of,
    costs_section,
    exit_sentences,
    exit_table,
    mostly_subsidised,
    society_sentence,
)
from evaluation.reporting.disclosure import Gate
from evaluation.reporting.scene import Scene, scene_of
from evaluation.reporting.wording import Voice
from evaluation.study import Study, analyse_study, design_study

pytestmark = pytest.mark.filterwarnings("ignore::evaluation.errors.UnmatchedWarning")  # who is compared is tested elsewhere

PROJECT = Path(__file__).parents[1]
PEOPLE = 100
OWN = Clusters(np.arange(PEOPLE), np.arange(PEOPLE), np.ones(PEOPLE))
PAY = Price(name=Words(sv="Lön", en="Pay"), quantity="earnings_sek", sek=1, receiver="individual", source=Words(sv="lön", en="pay"))
SICK = Price(
    name=Words(sv="Sjukpenning", en="Sickness benefit"),
    quantity="sick_days",
    sek=500,
    payer="state",
    receiver="individual",
    price_year=2022,
    source=Words(sv="medelvärde", en="mean"),
)


@pytest.fixture(params=get_args(Language))
def language(request: pytest.FixtureRequest) -> Language:
    return request.param


@pytest.fixture(scope="module")
def plan() -> RegisterPlan:
    plan = load_plan(PROJECT / "reports/malmokraften")
    assert isinstance(plan, RegisterPlan)
    return plan


def scene(plan: RegisterPlan, language: Language) -> Scene:
    return Scene(plan, Voice(language, plan.unit), cast("object", None), Gate(0))  # type: ignore[arg-type]


def estimate(value: float, error: float, unit: Unit = "sek", seed: int = 0) -> Estimate:
    influence = np.random.default_rng(seed).normal(size=PEOPLE)
    return Estimate("number", value, influence * error / np.sqrt(influence @ influence), OWN, unit, n=PEOPLE)


def budget(sek: float = 69e6, participants: int = 4_000, year: int = 2022) -> Budget:
    name, source = Words(sv="Fas 2.0", en="Phase 2.0"), Words(sv="beslut", en="decision")
    return Budget(name=name, parts=(BudgetPart(payer="eu", sek=sek),), participants=participants, price_year=year, source=source)


def ledgers(*prices: Price, points: float = 0.08, error: float = 0.01, sick: float = 0.0, pay: float = 0.0, pay_error: float = 0.0) -> Costs:
    gaps = {"sick_days": estimate(sick, 0.2, seed=3), "earnings_sek": estimate(pay, pay_error, seed=4)}
    totals = Totals({name: Contrast(gap, gap, gap) for name, gap in gaps.items()})
    spec = CostSpec(price_year=2022, budgets=(budget(), budget(participants=5_600)), prices=prices)
    return estimate_costs(estimate(points, error, "probability", 1), estimate(0.5, 0.01, "probability", 2), spec, totals)


def read(text: str, language: Language) -> list[float]:
    found = re.findall(r"[+−]?\d[\d.,\u202f]*", text)
    plain = [one.rstrip(".,").replace("−", "-").replace("\u202f", "") for one in found]
    return [float(one.replace(",", ".") if language == "sv" else one.replace(",", "")) for one in plain]


# --- the first ledger


@pytest.mark.hand
def test_the_table_has_the_number_a_calculator_gives(plan: RegisterPlan, language: Language) -> None:
    found = ledgers()
    row = exit_table(found, scene(plan, language)).rows[0]
    assert read(row[1], language) == [17_250]
    assert read(row[3], language)[0] == 216_000  # 215,625 in three digits
    assert read(row[5], language) == [34_500]
    assert row[2] == row[4] == {"sv": "inte känd", "en": "not known"}[language]  # nothing but spending has been priced
    accounts = account_table(found.spec, scene(plan, language)).rows
    assert [read(one[1], language) + read(one[3], language) for one in accounts] == [[69.0, 4_000], [69.0, 5_600]]


def test_with_other_spending_known_the_net_cost_stands_beside_the_gross(plan: RegisterPlan, language: Language) -> None:
    found = ledgers(SICK, sick=4.0)
    row = exit_table(found, scene(plan, language)).rows[0]
    assert read(row[2], language) == [19_250]
    assert read(row[4], language)[0] == 241_000  # 240,625
    said = " ".join(exit_sentences(found, scene(plan, language)))
    assert 241_000 in read(said, language)
    assert {"sv": "netto", "en": "net"}[language] in said


def test_where_nothing_can_be_divided_no_number_is_given(plan: RegisterPlan, language: Language) -> None:
    for found, word in (
        (ledgers(points=0.01, error=0.01), {"sv": "för osäker", "en": "too uncertain"}),
        (ledgers(points=-0.05), {"sv": "färre, inte fler", "en": "fewer, not more"}),
    ):
        said = " ".join(exit_sentences(found, scene(plan, language)))
        cannot = {"sv": "kan inte beräknas", "en": "cannot be computed"}[language]
        assert cannot in said
        assert word[language] in said
        assert read(said, language) == [17_250]
        assert exit_table(found, scene(plan, language)).rows[0][3] == cannot


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(points=st.floats(-0.3, 0.3), error=st.floats(0.001, 0.1), sick=st.floats(-60, 60), language=st.sampled_from(get_args(Language)))
def test_a_sentence_never_contradicts_its_number(plan: RegisterPlan, points: float, error: float, sick: float, language: Language) -> None:
    found = ledgers(SICK, points=points, error=error, sick=sick)
    said, each = " ".join(exit_sentences(found, scene(plan, language))), found.per_exit[0].net_per_additional
    computed = found.effect.low > 0
    assert (each.value is not None) == computed
    cannot, saving = {"sv": ("kan inte beräknas", "besparing"), "en": ("cannot be computed", "saving")}[language]
    assert (cannot in said) != computed
    assert (saving in said) == (each.value is not None and each.value <= 0)


def test_the_cost_over_everybody_who_left_is_never_alone(plan: RegisterPlan, language: Language) -> None:
    for found in (ledgers(), ledgers(points=0.001), ledgers(SICK, sick=3.0)):
        look = scene(plan, language)
        table = exit_table(found, look)
        assert len(table.head) == 6
        for row in table.rows:
            assert all(row[3:6])
        gross = table.rows[0][5]
        others = [*exit_sentences(found, look), society_sentence(found, look), *(" ".join(row) for row in actor_table(found, look).rows)]
        assert not any(gross in text for text in others)


# --- the second and third


@pytest.mark.hand
def test_each_actor_s_lines_add_up_and_the_actors_to_society(plan: RegisterPlan, language: Language) -> None:
    rows = actor_table(ledgers(SICK, PAY, sick=4.0, pay=20_000), scene(plan, language)).rows
    gains = [(row[1], read(row[2], language)[0]) for row in rows]
    names = {
        "sv": ("EU (ESF)", "Staten", "Deltagaren", "Samhället som helhet"),
        "en": ("EU (ESF)", "The state", "The participant", "Society as a whole"),
    }
    eu, state, person, society = names[language]
    expected = [(eu, -17_250), (eu, -17_250), (state, -2_000), (state, -2_000), (person, 2_000), (person, 20_000), (person, 22_000), (society, 2_750)]
    assert gains == expected


@pytest.mark.parametrize(
    ("pay", "error", "said"),
    [(60_000, 5_000, "en vinst för samhället"), (1_000, 100, "en förlust för samhället"), (18_000, 5_000, "går det inte att säga")],
)
def test_society_gains_only_where_that_can_be_said(plan: RegisterPlan, pay: float, error: float, said: str) -> None:
    known = replace(ledgers(PAY, pay=pay, pay_error=error), unknown=(("sick_days", "no_price"),))  # what one loses by it the other gains
    sentence = society_sentence(known, scene(plan, "sv"))
    for words in ("en vinst för samhället", "en förlust för samhället", "går det inte att säga"):
        assert (words in sentence) == (words == said)


@pytest.mark.hand
@pytest.mark.parametrize("pay", [60_000, 1_000, 18_000])
def test_while_something_that_does_not_cancel_is_missing_society_neither_gains_nor_loses(plan: RegisterPlan, language: Language, pay: float) -> None:
    """36 000 less 17 250 is 18 750, and twice 1.96 times 6 000 its interval's width: two digits of half of it are whole thousands."""
    sentence = society_sentence(ledgers(PAY, pay=pay, pay_error=6_000), scene(plan, language))
    assert {"sv": "om samhället vinner eller förlorar kan inte sägas", "en": "whether society gains or loses cannot be said"}[language] in sentence
    for word in {"sv": ("ordinarie hjälpen", "lönesubventioner"), "en": ("ordinary help", "wage subsidies")}[language]:
        assert word in sentence
    assert {"sv": "sjukpenning", "en": "sickness"}[language] not in sentence  # what the state pays the participant receives
    assert round(pay - 17_250, -3) in read(sentence, language)


def test_with_a_cost_of_raising_public_money_transfers_are_missing_too(plan: RegisterPlan) -> None:
    found = ledgers(PAY, pay=60_000, pay_error=6_000)
    dear = replace(found, spec=found.spec.model_copy(update={"tax_factor": 1.3}))
    assert "sjukpenningen" in society_sentence(dear, scene(plan, "sv"))


@pytest.mark.hand
@pytest.mark.parametrize(
    ("gain", "error", "shown"),
    [(18_233, 5_960, "+18 000"), (8_483, 1_430, "+8 500"), (-12_321.4, 0.0, "−12 320"), (-17_250, 0.0, "−17 250"), (412.3, 4.0, "+412")],
)
def test_an_amount_is_told_no_finer_than_it_is_known(plan: RegisterPlan, gain: float, error: float, shown: str) -> None:
    found = ledgers()
    table = actor_table(replace(found, society=estimate(gain, error)), scene(plan, "sv"))
    assert table.rows[-1][2].replace("\u202f", " ") == shown


def test_a_cost_without_the_subsidies_that_most_of_the_jobs_have_is_said_to_be_too_low(plan: RegisterPlan, language: Language) -> None:
    look, either = scene(plan, language), {"sv": "högre eller lägre", "en": "higher or lower"}[language]
    higher = {"sv": "med dem blir kostnaden högre", "en": "with them the cost is higher"}[language]
    plain, subsidised = (exit_sentences(ledgers(), look, subsidised=known)[0] for known in (False, True))
    assert (either in plain, higher in plain) == (True, False)
    assert (either in subsidised, higher in subsidised) == (False, True)
    net = exit_sentences(ledgers(SICK, sick=4.0), look, subsidised=True)[0]
    assert {"sv": "med dem blir nettokostnaden högre", "en": "with them the net cost is higher"}[language] in net


@pytest.mark.parametrize(
    ("share", "low", "priced", "said"), [(0.8, 0.1, False, True), (0.4, 0.1, False, False), (0.8, -0.1, False, False), (0.8, 0.1, True, False)]
)
def test_jobs_are_mostly_subsidised_where_that_is_sure_and_the_subsidies_have_no_price(
    study: Study, monkeypatch: pytest.MonkeyPatch, share: float, low: float, priced: bool, said: bool
) -> None:
    look = scene_of(study, "sv")
    found = ledgers(*([SICK.model_copy(update={"quantity": "subsidised_months"})] if priced else []))
    found = replace(found, unknown=tuple(one for one in found.unknown if not priced or one[0] != "subsidised_months"))
    part = SimpleNamespace(value=share * found.effect.value, low=low, high=0.3)
    monkeypatch.setattr("evaluation.reporting.costs.subsidised", lambda *_: part)
    assert mostly_subsidised(study, found, look) is said


def test_where_only_spending_is_known_society_is_not_said_to_lose(plan: RegisterPlan) -> None:
    sentence = society_sentence(ledgers(), scene(plan, "sv"))
    assert "återstår bara utgiften" in sentence
    assert "förlust" not in sentence


# --- a study


@pytest.fixture(scope="module")
def study(plan: RegisterPlan) -> Study:
    asked = plan.model_copy(
        update={
            "cohort": plan.cohort.model_copy(update={"covariates": ("age", "kon", "days_jug"), "candidates": 5}),
            "matching": plan.matching.model_copy(update={"exact": ("trial", "duration_band"), "ratio": 1}),
            "subgroups": SubgroupSection(),
            "disclosure": DisclosureSection(threshold=0),
        }
    )
    registers = clean_registers(read_registers(simulate_registers(250, 2_000, seed=1).tables))
    return analyse_study(registers, design_study(registers, asked))


def under(study: Study, threshold: int) -> Study:
    """Give the study as it is told under another threshold."""
    plan = study.design.plan.model_copy(update={"disclosure": DisclosureSection(threshold=threshold)})
    return replace(study, design=replace(study.design, plan=plan))


def with_effect(study: Study, gap: float) -> Study:
    """Give the study with so much larger an effect at the horizon of its answer, which then is sure."""
    days = study.design.plan.primary_days
    control, difference = study.effects.arms["control"].risk[days], study.effects.risk_difference[days]
    moved = replace(study.effects.arms["control"], risk={**study.effects.arms["control"].risk, days: replace(control, value=control.value - gap)})
    wider = {**study.effects.risk_difference, days: replace(difference, value=difference.value + gap)}
    return replace(study, effects=replace(study.effects, arms={**study.effects.arms, "control": moved}, risk_difference=wider))


def test_a_study_s_own_days_and_months_are_priced(study: Study) -> None:
    subsidy = SICK.model_copy(update={"quantity": "subsidised_months", "sek": 10_000.0, "receiver": None})
    found = costs_of(study, CostSpec(price_year=2022, budgets=(budget(),), prices=(SICK, PAY, subsidy)), scene_of(study, "sv"))
    assert found is not None
    assert study.journey is not None
    assert {name for name, _ in found.unknown} == {"ordinary", "programme_months", "assistance_months"}
    totals, occupancy = study.journey.totals.contrasts, study.journey.occupancy.to_frame()
    priced = occupancy[occupancy["state"].isin(["nystartsjobb", "arbete_subventionerat", "arbete_lonebidrag"])]
    by_month = priced.groupby("month")["effect"].sum()
    months = np.trapezoid(by_month.to_numpy(), by_month.index.to_numpy(dtype=float))
    sick, pay = totals["sick_days"].difference, totals["earnings_sek"].difference
    assert found.per_exit[0].net.value == pytest.approx(17_250 + 500 * sick.value + 10_000 * months, rel=1e-9)
    assert found.actors["individual"].value == pytest.approx(500 * sick.value + pay.value, rel=1e-9)
    assert found.society.value == pytest.approx(pay.value - 17_250 - 10_000 * months, rel=1e-9)


def test_a_section_says_what_it_lacks_and_hides_what_is_of_few(study: Study, language: Language) -> None:
    spec = CostSpec(price_year=2022, budgets=(budget(year=2020),))
    section = costs_section(study, spec, scene_of(study, language))
    lacking = next(block for block in section.blocks if isinstance(block, Items))
    assert len(lacking.items) == 6  # nothing is priced
    said = " ".join(block.text for block in section.blocks if isinstance(block, Paragraph))
    assert {"sv": "Belopp från 2020 är inte omräknade till 2022", "en": "Amounts from 2020 are not converted to 2022"}[language] in said
    assert {"sv": "i 2022 års priser", "en": "in 2022 prices"}[language] not in said.split("2020")[0]
    of_few = under(study, 10**6)
    assert costs_of(of_few, spec, scene_of(of_few, language)) is None
    hidden = costs_section(of_few, spec, scene_of(of_few, language))
    assert not any(isinstance(block, Rows) for block in hidden.blocks)


# --- behind the gate

SUBSIDY = SICK.model_copy(update={"quantity": "subsidised_months", "sek": 10_000.0, "receiver": None})
PRICED = CostSpec(price_year=2022, budgets=(budget(),), prices=(SICK, PAY, SUBSIDY))


@pytest.fixture(scope="module")
def sure_study(study: Study) -> Study:
    return with_effect(study, 0.25)


def told_numbers(study: Study, language: Language = "sv") -> set[float]:
    look = scene_of(study, language)
    section = costs_section(study, PRICED, look)
    texts = [block.text for block in section.blocks if isinstance(block, Paragraph)]
    texts += [cell for block in section.blocks if isinstance(block, Rows) for row in block.table.rows for cell in row[1:5]]
    return {number for text in texts for number in read(text, language)}


def test_the_costs_are_those_of_the_effect_that_is_told(sure_study: Study) -> None:
    """A calculator with the page's own percentage points gives the page's own costs."""
    behind = under(sure_study, 10)
    look = scene_of(behind, "sv")
    shown = look.passed.effects[behind.design.plan.primary_days]
    found = costs_of(behind, CostSpec(price_year=2022, budgets=(budget(),)), look)
    assert found is not None
    each = found.per_exit[0]
    assert each.spending_per_additional.value == pytest.approx(17_250 / shown.difference.value)
    assert (each.spending_per_additional.low, each.spending_per_additional.high) == (
        pytest.approx(17_250 / shown.difference.high),
        pytest.approx(17_250 / shown.difference.low),
    )
    assert each.per_gross_exit_sek == pytest.approx(17_250 / shown.treated.value)


def test_no_exact_effect_share_or_mean_can_be_divided_out_of_the_costs(sure_study: Study) -> None:
    """The attacker divides each public amount by the numbers of the page; unprotected, that gives the exact effect back."""
    days = sure_study.design.plan.primary_days
    exact = sure_study.effects.risk_difference[days].value
    for threshold, known in ((10, False), (0, True)):
        world = under(sure_study, threshold)
        found = costs_of(world, PRICED, scene_of(world, "sv"))
        assert found is not None
        one = found.per_exit[0]
        guesses = [17_250 / one.spending_per_additional.value, found.effect.value]
        assert any(abs(guess - exact) < 1e-9 for guess in guesses) is known
        totals = sure_study.journey.totals.contrasts
        gains = {entry.price.quantity: entry.value for entry in found.entries if entry.price is not None}
        pay = gains["earnings_sek"]["individual"].value / PAY.sek
        sick = gains["sick_days"]["individual"].value / SICK.sek
        assert (abs(pay - totals["earnings_sek"].difference.value) < 1e-6) is known
        assert (abs(sick - totals["sick_days"].difference.value) < 1e-9) is known
    exact_numbers = {round(number) for number in told_numbers(under(sure_study, 0)) if number > 100}
    left = {round(number) for number in told_numbers(under(sure_study, 10)) if number > 100} & exact_numbers
    assert left <= {17_250, 2_022, 4_000, 69_000_000, 500, 10_000}  # the plan's own amounts


def test_two_studies_a_person_apart_are_told_the_same_costs(sure_study: Study) -> None:
    """One success more or less among some 240 moves the effect by four tenths of a point: told exactly it shows, rounded it mostly does not."""
    days = sure_study.design.plan.primary_days
    n = sure_study.effects.arms["treated"].n
    told: dict[int, list[str]] = {10: [], 0: []}
    spending = CostSpec(price_year=2022, budgets=(budget(),))
    for threshold, kept in told.items():
        for more in range(4):
            world = under(with_success(sure_study, days, more / n), threshold)
            kept.append(exit_table(cast("Costs", costs_of(world, spending, look := scene_of(world, "sv"))), look).rows[0][3])
    assert len(set(told[0])) == 4
    assert len(set(told[10])) <= 2  # four counts in a row lie on at most two sides of one limit


def with_success(study: Study, days: float, more: float) -> Study:
    treated, difference = study.effects.arms["treated"].risk[days], study.effects.risk_difference[days]
    arm = replace(study.effects.arms["treated"], risk={**study.effects.arms["treated"].risk, days: replace(treated, value=treated.value + more)})
    gaps = {**study.effects.risk_difference, days: replace(difference, value=difference.value + more)}
    return replace(study, effects=replace(study.effects, arms={**study.effects.arms, "treated": arm}, risk_difference=gaps))


@pytest.mark.property
@settings(max_examples=40, deadline=None)
@given(value=st.floats(-0.4, 0.4), error=st.floats(0.001, 0.2), moved=st.floats(-0.01, 0.01), more=st.floats(0, 0.05))
def test_a_released_estimate_is_as_wide_as_it_is_told(sure_study: Study, value: float, error: float, moved: float, more: float) -> None:
    own = sure_study.effects.risk_difference[sure_study.design.plan.primary_days]
    exact = replace(own, value=value, influence=own.influence * error / own.std_error)
    width = exact.value - exact.low + more
    seal = scene_of(sure_study, "sv").passed.counts.number("treated").seal
    found = as_released(exact, ReleasedNumber("points", value + moved, value + moved - width, value + moved + width, seal=seal))
    assert found is not None
    assert (found.value, found.low, found.high) == pytest.approx((value + moved, value + moved - width, value + moved + width), abs=1e-9)


def test_what_is_withheld_makes_no_estimate(sure_study: Study) -> None:
    own = sure_study.effects.risk_difference[sure_study.design.plan.primary_days]
    seal = scene_of(sure_study, "sv").passed.counts.number("treated").seal
    assert as_released(own, ReleasedNumber("points", None, seal=seal)) is None
