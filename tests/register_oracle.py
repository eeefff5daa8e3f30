"""What the register rooms should find, told slowly: one person at a time, one rule after another, one entry per day.

Beside it, what their tests share: registers from drawn tables, and registers that are as badly kept as can be.
"""

import datetime as dt
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from random import Random

import numpy as np
import pandas as pd
from hypothesis import strategies as st

from evaluation.registers.cleaning import CleanRegisters
from evaluation.registers.contract import load_contract
from evaluation.registers.reading import TYPES
from evaluation.registers.states import States
from evaluation.registers.store import Registers, open_store

CONTRACT = load_contract()
NAMES = ("inskrivning", "sokandekategori", "program_beslut", "stod_beslut", "studier", "ersattning_fk")
FIRST = dt.date(1960, 1, 1).toordinal()  # place 0 in a person's days
SOFT = {None, "okand", "avregistrerad_annan"}
RANK = CONTRACT.codes["tillstand"].entries.assign(rang=lambda codes: codes["rang"].astype(int)).sort_values("rang")
STATES = RANK["kod"].tolist()
GROUPS = {
    "unemployed": set(RANK.loc[RANK["klass"] == "arbetslos", "kod"]),
    "programme": {"program"},
    "work": set(RANK.loc[RANK["klass"] == "arbete", "kod"]),
}


def drawn(text: str) -> pd.DataFrame:
    """Read a table drawn in a test: words between spaces, a hyphen for nothing, # before a comment."""
    head, *rows = (line.split("#")[0].split() for line in text.strip().splitlines())
    return pd.DataFrame([row for row in rows if row], columns=head, dtype=object).replace("-", None)


def build(tables: dict[str, pd.DataFrame], complete: str = "2020-12-01") -> Registers:
    """Put tables into a database as a reader of deliveries would, columns that are absent as nulls."""
    connection = open_store(threads=2)
    connection.execute("create schema register; create schema codes")
    for name, codes in CONTRACT.codes.items():
        connection.register("entries", codes.entries)
        dates = ", ".join(f"cast({column} as date) as {column}" for column in ("giltig_fran", "giltig_till"))
        connection.execute(f"create table codes.{name} as select * replace ({dates}) from entries")
    delivery = pd.DataFrame({"myndighet": ["Finsam"], "datauttag": ["2022-01-31"], "komplett_t_o_m": [complete], "syntetisk": [True]})
    tables = {"leverans": delivery, **tables}
    for name, frame in tables.items():
        connection.register("entries", frame.astype("string"))
        columns = ", ".join(
            f"cast({field.name if field.name in frame else 'null'} as {TYPES[field.kind]}) as {field.name}" for field in CONTRACT.tables[name].fields
        )
        connection.execute(f"create table register.{name} as select {columns} from entries")
    connection.unregister("entries")
    return Registers(connection, CONTRACT, tuple(name for name in CONTRACT.tables if name in tables))


def first_unseen(registers: Registers) -> int:
    return registers.complete_until.toordinal() + 1


def compare(clean: CleanRegisters, states: States) -> None:
    """Hold the states of everybody, and what each rule is said to have done, against what is found slowly."""
    registers, gap_days = clean.registers, clean.spec.gap_days
    until, audit = first_unseen(registers), Counter()
    rows = [
        (who, pd.Timestamp.fromordinal(start), pd.Timestamp.fromordinal(stop), state)
        for who, person in sorted(persons(registers).items())
        for start, stop, state in spells_of(states_of(clean_person(person, until, gap_days, audit), until))
    ]
    expected = pd.DataFrame(rows, columns=["lopnr", "start", "stop", "state"]).astype({"start": "datetime64[us]", "stop": "datetime64[us]"})
    pd.testing.assert_frame_equal(states.frame().astype(expected.dtypes), expected)
    for done in ("removed", "changed"):
        counted = [audit[table, rule, done] for table, rule in zip(clean.audit["table"], clean.audit["rule"], strict=True)]
        assert counted == clean.audit[done].tolist()


def looked_back(clean: CleanRegisters, people: pd.DataFrame) -> pd.DataFrame:
    """Give what was known of each pair of person and index date, found slowly."""
    registers, gap_days = clean.registers, clean.spec.gap_days
    until, found = first_unseen(registers), persons(registers)
    pairs = zip(people["lopnr"], pd.to_datetime(people["index_date"]), strict=True)
    rows = [look_back_of(found[who], date.toordinal(), until, gap_days, registers.names) for who, date in pairs]
    return pd.concat([people[["lopnr", "index_date"]], pd.DataFrame(rows, index=people.index)], axis=1)


def meaning(codes: str, code: object, day: int | None) -> tuple[str | None, bool]:
    """Give what a code meant on a day, and whether it has come to mean something else since."""
    if code is None or day is None:
        return None, False
    date = dt.date.fromordinal(day).isoformat()
    listed = [entry for entry in _LISTS[codes] if entry["kod"] == code]
    for entry in listed:
        if entry["giltig_fran"] <= date <= entry["giltig_till"]:
            return entry["klass"], any(other["giltig_fran"] > entry["giltig_fran"] for other in listed)
    return None, False


_LISTS = {name: codes.entries.to_dict("records") for name, codes in CONTRACT.codes.items()}


def persons(registers: Registers) -> dict[str, dict[str, list[dict]]]:
    """Give each person's rows by table, dates as day numbers and nothing as None."""
    found: dict[str, dict[str, list[dict]]] = {}
    for name in registers.names:
        frame = registers.frame(name)
        if "lopnr" not in frame:
            continue
        for field in CONTRACT.tables[name].fields:
            if field.kind in ("date", "yearmonth"):
                numbers = [None if pd.isna(day) else day.toordinal() for day in pd.to_datetime(frame[field.name])]
                frame[field.name] = pd.Series(numbers, dtype=object)
        frame = frame.astype(object).where(frame.notna(), None)
        for row in frame.to_dict("records"):
            found.setdefault(row["lopnr"], {}).setdefault(name, []).append(row)
    return found


def known(person: dict[str, list[dict]], day: int, audit: Counter | None = None) -> dict[str, list[dict]]:
    """Give what was known of a person before a day: their spells, and when they died or left."""
    found: dict[str, list[dict]] = {}
    for name in NAMES:
        spell = CONTRACT.tables[name].spell
        assert spell is not None
        hidden = {"inskrivning": ["avaktualiseringsorsak"], "program_beslut": ["slutorsak"], "ersattning_fk": ["nettodagar", "bruttodagar"]}
        found[name] = []
        for row in person.get(name, []):
            if row[spell.start] >= day:
                _tell(audit, name, "after_follow_up", "removed")
                continue
            row = dict(row)
            if row[spell.stop] is None or row[spell.stop] >= day:
                if row[spell.stop] is not None:
                    _tell(audit, name, "after_follow_up", "changed")
                row.update(dict.fromkeys([spell.stop, *hidden.get(name, [])]))
            found[name].append(row)
    (who,) = person["individ"]
    found["individ"] = [{key: None if key in ("dod_datum", "utvandring_datum") and (value or 0) >= day else value for key, value in who.items()}]
    return found


def _tell(audit: Counter | None, *what: str) -> None:
    if audit is not None:
        audit[what] += 1


def _spells(name: str, rows: list[dict], code: str) -> list[dict]:
    """Give rows as half-open spells with their class."""
    table = CONTRACT.tables[name]
    assert table.spell is not None
    codes = next(field.codelist for field in table.fields if field.name == code)
    found = []
    for row in rows:
        klass, former = meaning(str(codes), row[code], row[str(table.dated_by)])
        stop = row[table.spell.stop]
        found.append({**row, "start": row[table.spell.start], "stop": None if stop is None else stop + table.spell.includes_stop, "klass": klass})
        found[-1]["former"] = former
    return found


def _in_order(name: str, spells: list[dict], audit: Counter | None) -> tuple[list[dict], list[dict]]:
    """Drop what is no spell of its own and end each where the next starts; give the result and the spells as they were entered."""
    kept: list[dict] = []
    for spell in spells:
        if spell in kept:
            _tell(audit, name, "exact_duplicate", "removed")
        else:
            kept.append(spell)
    entered = []
    for spell in kept:
        if spell["stop"] is not None and spell["stop"] < spell["start"]:
            _tell(audit, name, "negative", "removed")
        elif spell["stop"] == spell["start"]:
            _tell(audit, name, "zero_length", "removed")
        else:
            entered.append(spell)
    entered.sort(key=lambda spell: (spell["start"], len(spell["inskr_id"]), spell["inskr_id"], spell.get("period_nr", 0)))
    last = {spell["start"]: spell for spell in entered}
    for _ in range(len(entered) - len(last)):
        _tell(audit, name, "same_start", "removed")
    ordered = [{**spell, "entered": spell["stop"]} for spell in last.values()]
    for spell, after in pairwise(ordered):
        if spell["stop"] is None or spell["stop"] > after["start"]:
            spell["stop"] = after["start"]
            _tell(audit, name, "overlap", "changed")
    return ordered, entered


def clean_person(person: dict[str, list[dict]], until: int, gap_days: int, audit: Counter | None = None) -> dict[str, list[dict]]:
    """Mend a person's spells; `until` is the first day that is not observed."""
    seen = known(person, until, audit)
    code = dict(zip(NAMES, ("avaktualiseringsorsak", "skat", "programkod", "stodtyp", "skolform", "formanskod"), strict=True))
    spells = {name: _spells(name, seen[name], code[name]) for name in NAMES}
    registrations, entered = _in_order("inskrivning", spells["inskrivning"], audit)
    categories, _ = _in_order("sokandekategori", spells["sokandekategori"], audit)
    for spell in [*registrations, *categories]:
        spell["stop"] = until if spell["stop"] is None else spell["stop"]

    for registration in registrations:
        own = [category for category in categories if category["inskr_id"] == registration["inskr_id"]]
        emptied = own[-1]["entered"] if own else None
        if emptied is not None and registration["start"] < emptied < registration["stop"]:
            registration["stop"] = emptied
            _tell(audit, "inskrivning", "late_deregistration", "changed")
    of = {registration["inskr_id"]: registration for registration in entered}
    still = []
    for category in categories:
        registration = of.get(category["inskr_id"])
        category["reason"] = registration["klass"] if registration else None
        if registration and registration["stop"] is not None and registration["stop"] < category["stop"]:
            if registration["stop"] <= category["start"]:
                _tell(audit, "sokandekategori", "outlives_registration", "removed")
                continue
            _tell(audit, "sokandekategori", "outlives_registration", "changed")
            category["stop"] = registration["stop"]
        still.append(category)

    for before, after in pairwise(registrations):
        if 1 <= after["start"] - before["stop"] <= gap_days and before["klass"] in SOFT:
            before["stop"] = after["start"]
            _tell(audit, "inskrivning", "gap", "changed")
    for before, after in pairwise(still):
        if 1 <= after["start"] - before["stop"] <= gap_days and (before["inskr_id"] == after["inskr_id"] or before["reason"] in SOFT):
            before["stop"] = after["start"]
            _tell(audit, "sokandekategori", "gap", "changed")
    for category in still:
        if category["klass"] == "teknisk":
            category["klass"] = "oppet_arbetslos"
            _tell(audit, "sokandekategori", "technical_code", "changed")

    cleaned = {**spells, "inskrivning": registrations, "sokandekategori": still, "individ": seen["individ"]}
    for name in NAMES:
        for spell in cleaned[name]:
            spell["stop"] = until if spell["stop"] is None else spell["stop"]
            if spell["former"]:
                _tell(audit, name, "reused_code", "changed")
    cleaned["programme"] = _merged(cleaned.pop("program_beslut"), audit)
    return cleaned


def _merged(decisions: list[dict], audit: Counter | None) -> list[dict]:
    found: list[dict] = []
    for decision in sorted(decisions, key=lambda decision: (decision["start"], decision["stop"])):
        ended_as, _ = meaning("slutorsak", decision["slutorsak"], decision["start"])
        last = (decision["stop"], len(decision["beslut_id"]), decision["beslut_id"])
        for spell in found:
            if spell["klass"] == decision["klass"] and decision["start"] <= spell["stop"]:
                _tell(audit, "program_beslut", "merged", "removed")
                spell["stop"] = max(spell["stop"], decision["stop"])
                if last > spell["last"]:
                    spell.update(last=last, ended_as=ended_as)
                break
        else:
            found.append({**decision, "ended_as": ended_as, "last": last})
    return found


def states_of(clean: dict[str, list[dict]], until: int) -> np.ndarray:
    """Give a person's state on every day from FIRST, as a position in STATES; len(STATES) where there is none."""
    days = np.full(until - FIRST, len(STATES))

    def hold(start: int, stop: int, state: str | None) -> None:
        if state in STATES:
            span = slice(max(start - FIRST, 0), max(stop - FIRST, 0))
            days[span] = np.minimum(days[span], STATES.index(state))

    for name in ("sokandekategori", "stod_beslut", "studier"):
        for spell in clean[name]:
            hold(spell["start"], spell["stop"], spell["klass"])
    for case in clean["ersattning_fk"]:
        if case["omfattning"] == 100:
            hold(case["start"], case["stop"], case["klass"])
    following = [*(registration["start"] for registration in clean["inskrivning"][1:]), until]
    for registration, back in zip(clean["inskrivning"], following, strict=False):
        gone = registration["stop"]
        if gone >= back:
            continue
        hold(gone, back, registration["klass"] or "okand")
        decisions = [decision for decision in clean["stod_beslut"] if 0 <= decision["start"] - gone <= 30 and decision["start"] <= back]
        if registration["klass"] == "arbete_osubventionerat" and decisions:
            first = min(decision["start"] for decision in decisions)
            for decision in decisions:
                if decision["start"] == first:
                    hold(gone, first, decision["klass"])
        if registration["klass"] == "avregistrerad_annan":
            for spell in clean["programme"]:
                if spell["klass"] == "jug" and spell["ended_as"] in ("foraldraledig", "sjuk") and abs(spell["stop"] - gone) <= 30:
                    hold(gone, back, spell["ended_as"])
    (who,) = clean["individ"]
    pensioned = next(year for year in range(1900, 2200) if year - who["fodelsear"] >= (66 if year >= 2023 else 65))
    hold(dt.date(pensioned, 1, 1).toordinal(), until, "pension")
    hold(who["utvandring_datum"] or until, until, "flyttad")
    hold(who["dod_datum"] or until, until, "avliden")
    return days


def spells_of(days: np.ndarray) -> Iterator[tuple[int, int, str]]:
    """Give the spells of a person's days: start, stop, state."""
    edges = [0, *(np.flatnonzero(np.diff(days)) + 1).tolist(), len(days)]
    for start, stop in pairwise(edges):
        if days[start] < len(STATES):
            yield FIRST + start, FIRST + stop, STATES[days[start]]


def look_back_of(person: dict[str, list[dict]], index_date: int, until: int, gap_days: int, delivered: tuple[str, ...]) -> dict[str, object]:
    """Give what was known of a person before a day."""
    clean = clean_person(known(person, index_date), until, gap_days)
    days = states_of(clean, until)[: index_date - FIRST]
    date = dt.date.fromordinal(index_date)
    found: dict[str, object] = {"state": STATES[days[-1]] if days[-1] < len(STATES) else None}
    in_group = {name: np.isin(days, [STATES.index(state) for state in members]) for name, members in GROUPS.items()}
    for name, held in in_group.items():
        for window in (365, 730, 1826, 3652):
            found[f"days_{name}_{window}"] = int(held[-window:].sum())
    worked = np.flatnonzero(in_group["work"])
    found["months_since_work"] = (len(days) - 1 - worked[-1]) / (365.25 / 12) if len(worked) else np.nan

    runs: list[list[int]] = []
    for spell in clean["inskrivning"]:
        if runs and runs[-1][1] == spell["start"]:
            runs[-1][1] = spell["stop"]
        else:
            runs.append([spell["start"], spell["stop"]])
    found["registrations"] = len(runs)
    found["days_registered"] = next((index_date - start for start, stop in runs if start < index_date <= stop), 0)
    found["office"] = next((spell["kontor"] for spell in reversed(clean["inskrivning"]) if spell["kontor"] is not None), None)
    jug = [spell for spell in clean["programme"] if spell["klass"] == "jug" and spell["stop"] >= index_date]
    found["days_jug"] = index_date - jug[0]["start"] if jug else 0
    if "ersattning_fk" in delivered:
        for window in (365, 730):
            found[f"sick_days_{window}"] = 0.0
            for case in clean["ersattning_fk"]:
                share = case["omfattning"] / 100 if case["nettodagar"] is None else case["nettodagar"] / (case["stop"] - case["start"])
                days_in = len(range(max(case["start"], index_date - window), min(case["stop"], index_date)))
                found[f"sick_days_{window}"] += share * days_in * (case["klass"] == "sjuk")
    found.update(_records_of(person, date, delivered))
    return found


def _records_of(person: dict[str, list[dict]], date: dt.date, delivered: tuple[str, ...]) -> Iterator[tuple[str, object]]:
    years = {record["ar"]: record for record in person.get("arsinkomst", []) if record["ar"] < date.year}
    if "arsinkomst" in delivered:
        for back in (1, 2, 3):
            income = years.get(date.year - back, {}).get("loneink_hkr")
            yield f"earnings_sek_{back}", np.nan if income is None else 100.0 * income
        for name, column in (("insurance_days", "akassa_dagar"), ("support_days", "aktivitetsstod_dagar")):
            known_days = years.get(date.year - 1, {}).get(column)
            yield name, np.nan if known_days is None else float(known_days)
        levels = [meaning("sun_niva", years[year]["sun_niva"], dt.date(year, 12, 31).toordinal())[0] for year in sorted(years)]
        yield "education", next((level for level in reversed(levels) if level not in (None, "okand")), "okand")
        children = [years[year]["barn0_6"] for year in sorted(years) if years[year]["barn0_6"] is not None]
        yield "children_0_6", float(children[-1]) if children else np.nan
    if "ek_bistand" in delivered:
        month = 12 * date.year + date.month
        paid = [dt.date.fromordinal(record["manad"]) for record in person.get("ek_bistand", []) if record["belopp_kr"] != 0]
        yield "assistance_months", sum(month - 12 <= 12 * day.year + day.month < month for day in paid)
    if "funktionsnedsattning" in delivered:
        yield "disability", any(record["registrerad_datum"] < date.toordinal() for record in person.get("funktionsnedsattning", []))
    arrived = person["individ"][0]["invandringsar"]
    yield "years_in_sweden", float(date.year - arrived) if arrived and arrived <= date.year else np.nan


@st.composite
def few(draw: st.DrawFn) -> tuple[dict[str, pd.DataFrame], pd.DataFrame]:
    """Draw one to three people whose entries are as they happen to be, and index dates, up to March 2017."""
    rows: dict[str, list[dict]] = {name: [] for name in (*NAMES, "individ")}
    day = st.integers(0, 100).map(lambda number: (dt.date(2017, 1, 1) + dt.timedelta(days=number)).isoformat())
    later = st.none() | day
    registrations = st.lists(st.tuples(day, later, st.sampled_from([None, *"123456789"])), max_size=4)
    categories = st.lists(st.tuples(st.integers(1, 4), day, later, st.sampled_from(["11", "14", "31", "33", "51", "56", "70", "98"])), max_size=6)
    decisions = st.lists(st.tuples(day, st.integers(0, 40), st.sampled_from([None, "foraldraledig", "sjuk", "annat"])), max_size=2)
    cases = st.lists(st.tuples(day, st.none() | st.integers(0, 40), st.sampled_from([50, 100])), max_size=2, unique_by=lambda case: case[0])

    def end(start: str, length: int | None) -> str | None:
        return None if length is None else (dt.date.fromisoformat(start) + dt.timedelta(days=length)).isoformat()

    for who in ("a", "b", "c")[: draw(st.integers(1, 3))]:
        rows["individ"].append({"lopnr": who, "fodelsear": draw(st.sampled_from([1980, 1952])), "dod_datum": draw(st.none() | later)})
        for number, (start, stop, reason) in enumerate(draw(registrations), 1):
            rows["inskrivning"].append({"lopnr": who, "inskr_id": str(number), "inskriven_datum": start, "avaktualiserad_datum": stop})
            rows["inskrivning"][-1]["avaktualiseringsorsak"] = reason
        for number, (of, start, stop, skat) in enumerate(draw(categories), 1):
            rows["sokandekategori"].append({"lopnr": who, "inskr_id": str(of), "period_nr": number, "start": start, "slut": stop, "skat": skat})
        for number, (start, length, reason) in enumerate(draw(decisions), 1):
            decision = {"beslut_id": f"{who}{number}", "programkod": "JUG", "start": start, "slut": end(start, length), "slutorsak": reason}
            rows["program_beslut"].append({"lopnr": who, **decision})
        for start, length, extent in draw(cases):
            rows["stod_beslut"].append({"lopnr": who, "start": start, "slut": end(start, length), "stodtyp": "nystart"})
            rows["ersattning_fk"].append({"lopnr": who, "fran": start, "till": end(start, length), "formanskod": "sjukpenning", "omfattning": extent})
    if draw(st.booleans()):
        rows["sokandekategori"] += rows["sokandekategori"][:2]
    observed = st.integers(1, 90).map(lambda number: dt.date(2017, 1, 1) + dt.timedelta(days=number))
    pairs = st.lists(st.tuples(st.sampled_from([row["lopnr"] for row in rows["individ"]]), observed), min_size=1, max_size=4)
    people = pd.DataFrame(draw(pairs), columns=["lopnr", "index_date"])
    return {name: pd.DataFrame(found, columns=_columns(name), dtype=object) for name, found in rows.items()}, people


def disorder(people: int, seed: int) -> dict[str, pd.DataFrame]:
    """Draw registers that break every rule cleaning mends, and whose spells lie close enough to meet."""
    rng = Random(seed)
    rows: dict[str, list[dict]] = {name: [] for name in (*NAMES, "individ", "arsinkomst", "ek_bistand", "funktionsnedsattning")}
    for number in range(people):
        zero = dt.date(2006 if rng.random() < 0.2 else 2017, 1, 1)
        for name, row in (*_registered(rng, zero), *_decided(rng, zero), *_recorded(rng, zero)):
            rows[name].append({"lopnr": f"p{number}", **row})
    for number, decision in enumerate(rows["program_beslut"]):
        decision["beslut_id"] = str(number)
    for name in ("inskrivning", "sokandekategori"):
        rows[name] += [row for row in rows[name] if rng.random() < 0.03]
    return {name: pd.DataFrame(found, columns=_columns(name), dtype=object) for name, found in rows.items()}


def _day(zero: dt.date, number: int) -> str:
    return (zero + dt.timedelta(days=number)).isoformat()


def _maybe(rng: Random, value: object, share: float) -> object:
    return value if rng.random() < share else None


def _registered(rng: Random, zero: dt.date) -> Iterator[tuple[str, dict]]:
    at, numbers = rng.randrange(300), list(range(7, 7 + rng.randrange(5)))
    for number in rng.sample(numbers, len(numbers)):
        start, stop = at, at + rng.randrange(-4, 200)
        registration = {"inskr_id": str(number), "inskriven_datum": _day(zero, start), "avaktualiserad_datum": _maybe(rng, _day(zero, stop), 0.9)}
        office = (None, "K1", "K2")[number % 3]
        yield "inskrivning", {**registration, "avaktualiseringsorsak": _maybe(rng, rng.choice("123456789"), 0.9), "kontor": office}
        begun = start + rng.randrange(-2, 3) * (rng.random() < 0.2)
        for place in range(rng.randrange(5)):
            length = rng.randrange(-2, 70)
            end, skat = (
                _maybe(rng, _day(zero, rng.choice([begun + length, stop])), 0.7),
                rng.choice(["11", "14", "21", "31", "33", "51", "70", "98", "56"]),
            )
            yield "sokandekategori", {"inskr_id": str(number), "period_nr": place + 1, "start": _day(zero, begun), "slut": end, "skat": skat}
            begun += rng.choice([0, length, length + 31, length + 30])
        at = stop + rng.choice([-20, 0, 1, 29, 30, 31, 80])


def _decided(rng: Random, zero: dt.date) -> Iterator[tuple[str, dict]]:
    kinds = {
        "program_beslut": ("start", "slut", "programkod", ["JUG", "JUG", "AMU"]),
        "stod_beslut": ("start", "slut", "stodtyp", ["nystart", "extratjanst", "lonebidrag_u"]),
        "studier": ("start", "slut", "skolform", ["sfi", "komvux_gru", "hogskola"]),
        "ersattning_fk": ("fran", "till", "formanskod", ["sjukpenning", "rehabpenning"]),
    }
    for name, (start, stop, code, values) in kinds.items():
        for begun in rng.sample(range(1_200), rng.randrange(3)):
            row = {start: _day(zero, begun), stop: _maybe(rng, _day(zero, begun + rng.randrange(200)), 0.85), code: rng.choice(values)}
            if name == "program_beslut":
                row["slutorsak"] = _maybe(rng, rng.choice(["foraldraledig", "sjuk", "annat"]), 0.8)
            if name == "ersattning_fk":
                row.update(omfattning=rng.choice([50, 100]), nettodagar=_maybe(rng, float(rng.randrange(100)), 0.7))
            yield name, row


def _recorded(rng: Random, zero: dt.date) -> Iterator[tuple[str, dict]]:
    died, left = (_maybe(rng, _day(zero, rng.randrange(200, 1_400)), 0.03) for _ in range(2))
    person = {"fodelsear": rng.choice([1953, 1954, 1970, 1990]), "invandringsar": _maybe(rng, rng.randrange(1995, 2021), 0.6)}
    yield "individ", {**person, "dod_datum": died, "utvandring_datum": left, "skyddad": False}
    for year in rng.sample(range(2015, 2021), 3):
        level, small = _maybe(rng, rng.choice("12359"), 0.7), _maybe(rng, rng.randrange(3), 0.7)
        income = _maybe(rng, rng.randrange(4_000), 0.8)
        benefit = {} if income is None else {"akassa_dagar": income % 367, "aktivitetsstod_dagar": income % 100}
        yield "arsinkomst", {"ar": year, "loneink_hkr": income, "sun_niva": level, "barn0_6": small, **benefit}
    for month in rng.sample(range(48), rng.randrange(20)):
        first = f"{2017 + month // 12}-{month % 12 + 1:02}-01"
        yield "ek_bistand", {"hushall_lopnr": "h", "manad": first, "belopp_kr": _maybe(rng, rng.randrange(2) * 5_000, 0.8)}
    if rng.random() < 0.2:
        yield "funktionsnedsattning", {"kod": "61", "registrerad_datum": _day(zero, rng.randrange(1_400))}


def _columns(name: str) -> list[str]:
    return [field.name for field in CONTRACT.tables[name].fields]
