"""How is it told what it cost? Never a cost over everybody who left without the cost of one additional exit beside it.

Every ledger is made of what has come through the gate: the effect, the share and the means as they are told elsewhere on the page, with intervals as
wide as theirs. So no cost gives an exact number back.
"""

from __future__ import annotations

from dataclasses import replace

from evaluation.analysis.costs import ACTORS, STATES, CostPerExit, Costs, CostSpec, Entry, estimate_costs, state_months
from evaluation.analysis.estimates import Estimate
from evaluation.analysis.means import Contrast, Totals
from evaluation.analysis.quotients import Quotient
from evaluation.release.passage import mean_alone_through
from evaluation.release.released import ReleasedNumber
from evaluation.reporting.blocks import Block, Items, Paragraph, Rows, Section, Subheading, results
from evaluation.reporting.journey_tables import released_totals, subsidised
from evaluation.reporting.scene import Scene, once, sure
from evaluation.reporting.tables import Table
from evaluation.reporting.wording import excludes_zero
from evaluation.study import Journey, Study

MILLION = 1_000_000
PLACES = 3  # digits of a cost per exit: its interval is far wider than what lies beyond them
SPENT = 4  # digits of an amount without an interval: the accounts give the millions and the participants with no more
TRANSFERS = ("programme_months", "sick_days", "assistance_months")  # what one receives the other pays: to society nothing, but for raising the money


def costs_of(study: Study, spec: CostSpec, scene: Scene) -> Costs | None:
    """Set up a study's ledgers at the horizon of its answer, of released numbers; None where the effect is of too few people to be shown."""
    return once(study, ("costs", spec.model_dump_json(), scene.passed), lambda: _costs_of(study, spec, scene))


def _costs_of(study: Study, spec: CostSpec, scene: Scene) -> Costs | None:
    days, journey, passed = scene.plan.primary_days, study.journey, scene.passed
    shown = passed.effects.get(days)
    if shown is None or shown.hidden or not shown.treated.value:
        return None
    effect = as_released(study.effects.risk_difference[days], shown.difference)
    share = replace(study.effects.arms["treated"].risk[days], value=shown.treated.value)
    if effect is None:
        return None
    if journey is None:
        return estimate_costs(effect, share, spec)
    return estimate_costs(effect, share, spec, _amounts(study, journey, spec, scene))


def as_released(exact: Estimate, shown: ReleasedNumber) -> Estimate | None:
    """Give an estimate with its released value, and influences made so much larger that its interval is as wide as the released one.

    Parameters
    ----------
    exact : Estimate
    shown : ReleasedNumber

    Returns
    -------
    Estimate or None
        None where it is withheld, or where the exact one has no spread that could be made wider.
    """
    if shown.value is None or shown.low is None or shown.high is None:
        return None
    width = exact.value - exact.low
    if width <= 0:
        return replace(exact, value=shown.value) if shown.low == shown.high else None
    wider = max(shown.value - shown.low, shown.high - shown.value) / width
    return replace(exact, value=shown.value, influence=exact.influence * wider, interval="plain")


def _amounts(study: Study, journey: Journey, spec: CostSpec, scene: Scene) -> Totals:
    """Give what a participant has more of than without the programme, as released; what is of few people is left out, and so unknown."""
    exact, counts = {name: one.difference for name, one in journey.totals.contrasts.items()}, scene.passed.counts
    shown = {name: one.difference for name, one in released_totals(journey.totals, scene).items()}
    if {price.quantity for price in spec.prices} & set(STATES):
        months = state_months(study.effects.risk_difference[scene.plan.primary_days], journey.occupancy)
        exact |= {str(name): one for name, one in months.items()}
        shown |= {str(name): mean_alone_through(f"months: {name}", one, counts, scene.telling) for name, one in months.items()}
    found = {name: as_released(exact[name], number) for name, number in shown.items()}
    return Totals({name: Contrast(one, one, one) for name, one in found.items() if one is not None})


def costs_section(study: Study, spec: CostSpec, scene: Scene) -> Section:
    """Tell what one more exit cost, what each actor gains or loses, and what society does; and what is in none of it."""
    voice, found = scene.voice, costs_of(study, spec, scene)
    if found is None:
        return results("costs", voice("costs"), [Paragraph(voice("costs_hidden"))], study, scene)
    names = scene.names()
    account = spec.budgets[0].name.within(voice.language)
    blocks: list[Block] = [
        Paragraph(" ".join(exit_sentences(found, scene, subsidised=mostly_subsidised(study, found, scene)))),
        Rows(exit_table(found, scene)),
        Rows(account_table(spec, scene)),
        Paragraph(voice("costs_exit_note", **names)),
    ]
    if spec.other_years:
        blocks.append(Paragraph(voice("costs_years", year=str(spec.price_year), years=voice.listing([str(year) for year in spec.other_years]))))
    blocks += [Rows(actor_table(found, scene)), Paragraph(voice("costs_actor_note", account=account))]
    blocks.append(Paragraph(f"{society_sentence(found, scene)} {voice('costs_society_note')}"))
    lacking = tuple(voice(f"costs_unknown_{name}", why=voice(f"costs_{why}"), **scene.names()) for name, why in found.unknown)
    blocks += [Subheading(voice("costs_unknown")), Items(lacking)] if lacking else []
    return results("costs", voice("costs"), blocks, study, scene)


def mostly_subsidised(study: Study, found: Costs, scene: Scene) -> bool:
    """Say whether most of the effect surely is subsidised jobs, and the subsidies have no price: then the cost is surely higher with them."""
    if study.journey is None or "subsidised_months" not in dict(found.unknown):
        return False
    part, whole = subsidised(study, scene), found.effect.value
    return part is not None and part.value is not None and sure(part) and part.value > whole / 2 > 0


def exit_sentences(found: Costs, scene: Scene, *, subsidised: bool = False) -> list[str]:
    """Say what one more exit cost by the first account, or that it cannot be computed; every account is in the table.

    `subsidised` says whether the effect is mostly jobs with subsidies whose price is not known.
    """
    voice, first = scene.voice, found.per_exit[0]
    names = {**scene.names(), "horizon": voice.span(scene.plan.primary_days)}
    each = first.net_per_additional
    spending = _sek(_digits(first.spending_sek), scene)
    if each.value is None or each.low is None or each.high is None:
        return [voice(f"costs_{each.why}", **names, spending=spending)]
    figures = {"net": _sek(_rounded(abs(each.value)), scene), "range": _range(each.low, each.high, scene), "prices": _prices(found.spec, scene)}
    how = {"spending": spending, "net": _sek(_told(first.net), scene), "d": voice.number(100 * found.effect.value)}
    if not found.nets:
        alone = voice("costs_alone_subsidised" if subsidised else "costs_alone", **names)
        return [f"{voice('costs_additional_spending', **names, **figures)} {alone}", voice("costs_how_spending", **how)]
    without = f" {voice('costs_net_subsidised')}" if subsidised else ""
    net = voice("costs_additional" if each.value > 0 else "costs_saving", **names, **figures)
    return [f"{net}{without}", voice("costs_how", **how)]


def exit_table(found: Costs, scene: Scene) -> Table:
    """Show the first ledger, one account after another; spending over everybody who left is only ever a column of it."""
    voice = scene.voice
    rows = tuple(_account(one, found, scene) for one in found.per_exit)
    keys = ("account", "spending", "net_each", "spending_per", "net_per", "per_gross")
    caption = voice("costs_exit_table", **scene.names(), horizon=voice.span(scene.plan.primary_days), prices=_prices(found.spec, scene))
    return Table(caption, tuple(voice(f"costs_{key}") for key in keys), rows)


def account_table(spec: CostSpec, scene: Scene) -> Table:
    """Show what each account says, and where."""
    voice, rows = scene.voice, []
    for one in spec.budgets:
        total = voice.number(sum(part.sek for part in one.parts) / MILLION)
        rows.append((one.name.within(voice.language), total, str(one.price_year), voice.count(one.participants), one.source.within(voice.language)))
    head = (*(voice(f"costs_{key}") for key in ("account", "total", "price_year", "participants")), voice("goals_source"))
    return Table(voice("costs_account_table"), head, tuple(rows))


def actor_table(found: Costs, scene: Scene) -> Table:
    """Show the second ledger, each actor's lines and their sum, and last the third: the sum of the sums."""
    voice, rows, marks = scene.voice, [], []
    for actor in ACTORS:
        mine = [entry for entry in found.entries if actor in entry.value]
        for entry in mine:
            rows.append((_item(entry, scene), voice(f"costs_actor_{actor}"), *_gain(entry.value[actor], scene), _source(entry, found, scene)))
            marks.append("")
        if mine:
            rows.append((voice("costs_sum"), voice(f"costs_actor_{actor}"), *_gain(found.actors[actor], scene), ""))
            marks.append("strong")
    rows.append((voice("costs_sum"), voice("costs_society"), *_gain(found.society, scene), ""))
    head = (voice("costs_entry"), voice("costs_who"), voice("costs_gain"), voice("interval"), voice("goals_source"))
    return Table(voice("costs_actor_table", prices=_prices(found.spec, scene)), head, tuple(rows), (*marks, "strong"))


def society_sentence(found: Costs, scene: Scene) -> str:
    """Say whether society gains or loses, where that can be said; where something is missing that does not cancel, what is known and what is not."""
    voice, gain = scene.voice, found.society
    if gain.std_error == 0 and len(found.entries) == 1:
        return voice("costs_society_fixed", amount=_sek(_told(gain), scene))
    interval = _range(gain.low, gain.high, scene)
    missing = [voice(f"costs_missing_{name}") for name, _ in found.unknown if name not in TRANSFERS or found.spec.tax_factor is not None]
    if missing:
        amount = _sek(_told(gain), scene)
        return voice("costs_society_missing", amount=amount, range=interval, missing=voice.listing(missing))
    if gain.std_error > 0 and not excludes_zero(gain):
        return voice("costs_society_unsure", range=interval)
    return voice("costs_society_gain" if gain.value > 0 else "costs_society_loss", amount=_sek(abs(_told(gain)), scene), range=interval)


def _account(one: CostPerExit, found: Costs, scene: Scene) -> tuple[str, ...]:
    voice, unknown = scene.voice, scene.voice("costs_net_unknown")
    net = (voice.number(_told(one.net), 0), _quotient(one.net_per_additional, scene)) if found.nets else (unknown, unknown)
    spending, gross = voice.number(_digits(one.spending_sek), 0), voice.number(_rounded(one.per_gross_exit_sek), 0)
    return (one.budget.name.within(voice.language), spending, net[0], _quotient(one.spending_per_additional, scene), net[1], gross)


def _prices(spec: CostSpec, scene: Scene) -> str:
    return scene.voice("costs_prices_mixed") if spec.other_years else scene.voice("costs_prices", year=str(spec.price_year))


def _quotient(one: Quotient, scene: Scene) -> str:
    if one.value is None or one.low is None or one.high is None:
        return scene.voice("costs_not")
    return f"{scene.voice.number(_rounded(one.value), 0)} ({_range(one.low, one.high, scene)})"


def _range(low: float, high: float, scene: Scene) -> str:
    return scene.voice.range(_rounded(low), _rounded(high), 0)


def _rounded(sek: float) -> float:
    """Keep three digits, and no fraction of a krona."""
    digits = len(str(int(abs(sek))))
    return round(sek, min(0, PLACES - digits))


def _digits(sek: float) -> float:
    """Keep the digits of what is spent per participant, which is a sum in round millions over a round number of people."""
    return round(sek, min(0, SPENT - len(str(int(abs(sek))))))


def _told(one: Estimate) -> float:
    """Keep two digits of half the interval's width in a value, so that it is told no finer than it is known."""
    half = (one.high - one.low) / 2
    return _digits(one.value) if half < 1 else round(one.value, min(0, 2 - len(str(int(half)))))


def _gain(one: Estimate, scene: Scene) -> tuple[str, str]:
    return scene.voice.signed(_told(one), 0), scene.voice.range(_rounded(one.low), _rounded(one.high), 0, signed=True)


def _sek(amount: float, scene: Scene) -> str:
    return scene.voice("costs_sek", amount=scene.voice.number(amount, 0))


def _item(entry: Entry, scene: Scene) -> str:
    return scene.voice("costs_spent", **scene.names()) if entry.price is None else entry.price.name.within(scene.voice.language)


def _source(entry: Entry, found: Costs, scene: Scene) -> str:
    told = found.spec.budgets[0].source if entry.price is None else entry.price.source
    source, year = told.within(scene.voice.language), None if entry.price is None else entry.price.price_year
    return source if year is None else f"{source} ({year})"
