"""Which rows would each agency deliver about these lives?

The tables have the columns of data_schema/, months as text and dates as dates. Incomes follow the work a person has, also the work nobody told the
employment service about: a share of those whose contact was lost.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaluation.registers.synthetic import walk
from evaluation.registers.synthetic.people import COMPLETE_MONTH, FIRST_YEAR_OF_INTEREST, SWEDEN, People
from evaluation.registers.synthetic.spells import DAY, END, Spells

LOST_BUT_IN_WORK = 0.45  # Bring & Carling (2000): 45 % of those whose contact was lost had a job
ABROAD = 0.3  # share of those who move who leave the country
FIRST_PAY_MONTH = np.datetime64("2019-01", "M")  # employer declarations per person exist from then
FIRST_INCOME_YEAR, LAST_INCOME_YEAR = 2010, 2022
WORK = ("arbete_osubventionerat", "nystartsjobb", "arbete_subventionerat", "arbete_lonebidrag")
ASSISTED_MONTHS = 0.92  # of the months in which somebody on social assistance is out of work
EMPLOYERS = 5_000
END_REASON = np.array(
    [
        "",
        "arbete",
        "arbete_med_stod",
        "arbete_med_stod",
        "arbete_med_stod",
        "studier",
        "sjuk",
        "foraldraledig",
        "kontakt",
        "annat",
        "flytt",
        "avliden",
        "pension",
        "",
    ],
    dtype=object,
)
SUBSIDIES = {walk.NEW_START: "nystart", walk.DISABILITY: "lonebidrag_a"}
SCHOOLS, SCHOOL_SHARES = ["komvux_gru", "komvux_gym", "folkhogskola", "yh", "hogskola"], [0.25, 0.40, 0.13, 0.10, 0.12]
OBSTACLES, OBSTACLE_SHARES = ["arbetslos", "sprakhinder", "sjuk_intyg", "sociala_skal", "otillracklig"], [0.55, 0.18, 0.10, 0.10, 0.07]
IMPAIRMENTS = ["11", "22", "32", "42", "51", "61", "71", "81", "91", "92"]

# published rates for Malmö, per cent of the labour force; months between them are interpolated
UNEMPLOYMENT = {
    "2016-01": 14.5,
    "2018-09": 13.8,
    "2020-01": 13.5,
    "2020-07": 16.5,
    "2020-12": 16.0,
    "2021-04": 15.3,
    "2022-05": 12.4,
    "2023-12": 11.5,
}
EXTRA_SERVICES_2021 = 500 / 12  # money for 500 in 2021

Tables = dict[str, pd.DataFrame]


def make_records(people: People, ids: NDArray[np.object_], path: walk.Path, spells: Spells, rng: np.random.Generator) -> Tables:
    """Make the tables of everybody who went through JUG.

    Parameters
    ----------
    people : People
    ids : ndarray of str, shape (n,)
        Pseudonymous ids.
    path : walk.Path
    spells : Spells
    rng : Generator

    Returns
    -------
    dict of str to DataFrame
        By table; rows ordered by person and date.
    """
    works, gone = _work(people, spells, rng), _gone(path, len(people))
    tables = {
        "individ": _persons(people, path, rng),
        "inskrivning": _registrations(people, spells),
        "sokandekategori": _categories(spells),
        "program_beslut": _programmes(people, spells),
        "stod_beslut": _subsidies(spells, rng),
        "studier": _studies(people, spells, rng),
        "ersattning_fk": _sickness(spells),
        "funktionsnedsattning": _disabilities(people, rng),
        "manadslon": _pay(people, works, rng),
        "arsinkomst": _yearly(people, spells, works, gone, rng),
        "ek_bistand": _assistance(people, works, gone, rng),
    }
    return {name: _with_ids(table, ids) for name, table in tables.items()}


def months_text(months: NDArray[np.datetime64]) -> NDArray[np.object_]:
    """Write months as YYYY-MM."""
    return np.datetime_as_string(months.astype("datetime64[M]")).astype(object)


def calendar_tables(synthetic_note: str) -> Tables:
    """Make the tables without persons: delivery, unemployment by month, goals."""
    agencies = ["Arbetsförmedlingen", "Försäkringskassan", "Malmö stad", "SCB", "Skatteverket", "CSN, Skolverket, UHR", "Finsam Malmö"]
    months = np.arange(FIRST_YEAR_OF_INTEREST, COMPLETE_MONTH + 1)
    known = np.array(list(UNEMPLOYMENT), dtype="datetime64[M]").astype(np.int64)
    goals = [
        ("fas1_arbete_studier", 1, "2018-03-01", 4000, 1500, "2018-03 - 2019-12", "Finsam Malmö 2018"),
        ("fas2_arbete_studier", 1, "2020-01-01", 5600, 2500, "2020-01 - 2022-06", "ESF-ansökan; även 'nära 6 000' deltagare"),
        ("fas2_arbete_studier", 2, "2022-01-01", 4000, 1800, "2020-01 - 2022-12", "Finsam Malmö, reviderat; därtill 200 till förstärkt samarbete"),
    ]
    return {
        "leverans": pd.DataFrame(
            {"myndighet": agencies, "datauttag": END + 59 * DAY, "komplett_t_o_m": str(COMPLETE_MONTH), "schemaversion": "1.0.0", "syntetisk": True}
        ),
        "arbetslosa_manad": pd.DataFrame(
            {
                "kommun": "1280",
                "manad": months_text(months),
                "arbetsloshet_procent": np.round(np.interp(months.astype(np.int64), known, list(UNEMPLOYMENT.values())), 1),
                "extratjanster_tilldelade": np.where(months.astype("datetime64[Y]") == np.datetime64("2021", "Y"), round(EXTRA_SERVICES_2021), 90),
                "lediga_jobb": 5_000,
                "definition": synthetic_note,
            }
        ),
        "mal": pd.DataFrame(goals, columns=["mal_id", "version", "beslutad", "namnare", "mal", "period", "kalla"]).astype(
            {"beslutad": "datetime64[s]"}
        ),
    }


def _with_ids(table: pd.DataFrame, ids: NDArray[np.object_]) -> pd.DataFrame:
    person = table["person"].to_numpy()
    return table.drop(columns="person").assign(lopnr=ids[person])[["lopnr", *(name for name in table.columns if name != "person")]]


def _persons(people: People, path: walk.Path, rng: np.random.Generator) -> pd.DataFrame:
    columns = ["kon", "fodelsear", "fodelselandgrupp", "utlsvbakg", "mor_fodelselandgrupp", "far_fodelselandgrupp", "invandringsar"]
    died, moved = (pd.Series(path.day[path.state == state], index=path.person[path.state == state]) for state in (walk.DEAD, walk.MOVED))
    moved = moved[rng.random(len(moved)) < ABROAD]
    dates = {name: days[days < END].reindex(range(len(people))).to_numpy() for name, days in (("dod_datum", died), ("utvandring_datum", moved))}
    return people.traits[columns].assign(person=range(len(people)), kommun="1280", **dates, skyddad=False)


def _registrations(people: People, spells: Spells) -> pd.DataFrame:
    frame = spells.registrations
    return pd.DataFrame(
        {
            "person": frame["person"],
            "inskr_id": frame["number"].astype(str),
            "inskriven_datum": frame["start"],
            "avaktualiserad_datum": frame["stop"],
            "avaktualiseringsorsak": frame["reason"],
            "kontor": "K" + people.traits["district"].astype(str).to_numpy()[frame["person"]],
        }
    )


def _categories(spells: Spells) -> pd.DataFrame:
    frame = spells.categories
    number = frame.groupby(["person", "number"]).cumcount() + 1
    return pd.DataFrame(
        {
            "person": frame["person"],
            "inskr_id": frame["number"].astype(str),
            "period_nr": number,
            "start": frame["start"],
            "slut": frame["stop"],
            "skat": frame["code"],
        }
    )


def _programmes(people: People, spells: Spells) -> pd.DataFrame:
    frame = spells.segments
    frame = frame[(frame["state"] == walk.UNEMPLOYED) & ~people.traits["without_jug"].to_numpy()[frame["person"]] & (frame["jug"] < frame["stop"])]
    return pd.DataFrame(
        {
            "person": frame["person"],
            "beslut_id": [f"B{number:07d}" for number in range(1, len(frame) + 1)],
            "programkod": "JUG",
            "start": frame["jug"],
            "slut": _last_day(frame),
            "slutorsak": np.where(frame["stop"] >= END, None, END_REASON[frame["after"].to_numpy()]),
            "retroaktiv": False,
        }
    )


def _subsidies(spells: Spells, rng: np.random.Generator) -> pd.DataFrame:
    frame = spells.segments[spells.segments["state"].isin(walk.SUBSIDISED_STATES)]
    code = pd.merge_asof(
        frame.reset_index().sort_values("start"), spells.categories.sort_values("start")[["person", "start", "code"]], on="start", by="person"
    ).set_index("index")["code"]
    other = code.reindex(frame.index).map({"30": "introjobb", "49": "sas", "51": "extratjanst"})
    kind = frame["state"].map(SUBSIDIES).fillna(other)
    extent = rng.choice([50, 75, 100], len(frame), p=[0.15, 0.35, 0.50])
    rate = np.where(frame["state"] == walk.NEW_START, 50.0, np.where(kind == "extratjanst", 100.0, 80.0))
    return pd.DataFrame(
        {"person": frame["person"], "stodtyp": kind, "start": frame["start"], "slut": _last_day(frame), "omfattning": extent, "subventionsgrad": rate}
    )


def _studies(people: People, spells: Spells, rng: np.random.Generator) -> pd.DataFrame:
    """Regular studies, and Swedish for immigrants inside JUG."""
    regular = spells.segments[spells.segments["state"] == walk.STUDIES]
    regular = regular.assign(skolform=rng.choice(SCHOOLS, len(regular), p=SCHOOL_SHARES), slut=_last_day(regular), studietakt=100)
    inside = spells.segments[(spells.segments["state"] == walk.UNEMPLOYED) & ((spells.segments["stop"] - spells.segments["start"]).dt.days > 240)]
    newcomer = (people.traits["fodelselandgrupp"] != SWEDEN).to_numpy()[inside["person"]]
    inside = inside[newcomer & (rng.random(len(inside)) < 0.3)]
    inside = inside.assign(skolform="sfi", slut=inside["start"] + 200 * DAY, start=inside["start"] + 40 * DAY, studietakt=50)
    both = pd.concat([regular, inside]).sort_values(["person", "start", "skolform"], ignore_index=True)
    return both[["person", "skolform", "start", "slut", "studietakt"]]


def _sickness(spells: Spells) -> pd.DataFrame:
    frame = spells.segments[spells.segments["state"] == walk.SICK]
    days = (frame["stop"] - frame["start"]).dt.days
    return pd.DataFrame(
        {
            "person": frame["person"],
            "formanskod": "sjukpenning",
            "fran": frame["start"],
            "till": _last_day(frame),
            "omfattning": 100,
            "bruttodagar": days,
            "nettodagar": days.astype(float),
        }
    )


def _disabilities(people: People, rng: np.random.Generator) -> pd.DataFrame:
    who = np.flatnonzero(people.traits["disabled"])
    return pd.DataFrame(
        {"person": who, "kod": rng.choice(IMPAIRMENTS, len(who)), "registrerad_datum": people.registered[who] + rng.integers(5, 250, len(who))}
    )


def _last_day(frame: pd.DataFrame) -> pd.Series:
    return (frame["stop"] - DAY).where(frame["stop"] < END)


def _work(people: People, spells: Spells, rng: np.random.Generator) -> pd.DataFrame:
    """Give the spells in which somebody works, known to the employment service or not."""
    known = spells.states[spells.states["state"].isin(WORK)]
    lost = spells.states[spells.states["state"] == "okand"]
    hidden = lost[rng.random(len(lost)) < LOST_BUT_IN_WORK]
    first = spells.registrations.groupby("person")["start"].first().reindex(range(len(people)))
    before = pd.DataFrame(
        {"person": first.index, "start": first - (rng.exponential(1_200, len(first)) * DAY).astype("timedelta64[D]"), "stop": first, "state": WORK[0]}
    )
    early = before[rng.random(len(before)) < 0.5]
    return pd.concat([early, known, hidden]).sort_values(["person", "start"], ignore_index=True)


def _gone(path: walk.Path, n: int) -> NDArray[np.datetime64]:
    """Give the day each person died or moved away; the end of the registers for those who did not."""
    gone = np.full(n, END)
    left = np.isin(path.state, (walk.MOVED, walk.DEAD))
    gone[path.person[left]] = np.minimum(path.day[left], END)
    return gone


def _months_of(spells: pd.DataFrame, first: np.datetime64, n: int) -> NDArray[np.int32]:
    """Count the spells that touch each month from `first` to the end of the registers, shape (n, months)."""
    months = int((COMPLETE_MONTH - first).astype(np.int64)) + 1
    start, stop = ((spells[name].to_numpy().astype("datetime64[M]") - first).astype(np.int64) for name in ("start", "stop"))
    change = np.zeros((n, months + 1), dtype=np.int32)
    person, last = spells["person"].to_numpy(), stop + (spells["stop"].dt.day > 1).to_numpy()
    np.add.at(change, (person, np.clip(start, 0, months)), 1)
    np.add.at(change, (person, np.clip(last, 0, months)), -1)
    return np.cumsum(change, axis=1)[:, :months]


def _pay(people: People, works: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    at_work = _months_of(works, FIRST_PAY_MONTH, len(people)) > 0
    person, month = np.nonzero(at_work)
    changes = np.cumsum(np.diff(at_work.astype(np.int8), axis=1, prepend=0) == 1, axis=1)[person, month]
    employer = (person * 7_919 + changes * 104_729) % EMPLOYERS
    pay = np.round(people.traits["pay"].to_numpy()[person] * rng.normal(1.0, 0.06, len(person)), -2).clip(1_000).astype(np.int64)
    names = np.array([f"F{number:05d}" for number in range(EMPLOYERS)], dtype=object)
    calendar = months_text(FIRST_PAY_MONTH + np.arange(at_work.shape[1]))
    return pd.DataFrame({"person": person, "manad": calendar[month], "arbetsgivare_lopnr": names[employer], "kontant_ersattning": pay})


def _days_in_years(spells: pd.DataFrame, n: int) -> NDArray[np.int64]:
    """Count the days of the spells in each year of income, shape (n, years)."""
    years = np.arange(FIRST_INCOME_YEAR, LAST_INCOME_YEAR + 1)
    days = np.zeros((n, len(years)), dtype=np.int64)
    start, stop = spells["start"].to_numpy().astype("datetime64[D]"), spells["stop"].to_numpy().astype("datetime64[D]")
    for column, year in enumerate(years):
        opens, closes = np.datetime64(f"{year}-01-01"), np.datetime64(f"{year + 1}-01-01")
        inside = (np.minimum(stop, closes) - np.maximum(start, opens)).astype(np.int64).clip(0)
        days[:, column] = np.bincount(spells["person"], weights=inside, minlength=n).astype(np.int64)
    return days.clip(max=366)


def _yearly(people: People, spells: Spells, works: pd.DataFrame, gone: NDArray[np.datetime64], rng: np.random.Generator) -> pd.DataFrame:
    n, years = len(people), np.arange(FIRST_INCOME_YEAR, LAST_INCOME_YEAR + 1)
    worked, sick = _days_in_years(works, n), _days_in_years(spells.states[spells.states["state"] == "sjuk"], n)
    guarantee = _days_in_years(spells.states[spells.states["state"] == "program"], n)
    insured = rng.random(n) < np.where(people.traits["assisted"], 0.2, 0.7)
    benefit = _days_in_years(spells.states[spells.states["state"] == "oppet_arbetslos"], n) * insured[:, None]
    adult = years >= people.traits["fodelsear"].to_numpy()[:, None] + 18
    here = years >= people.traits["invandringsar"].fillna(0).to_numpy(dtype=np.int64)[:, None]
    present = years <= gone.astype("datetime64[Y]").astype(np.int64)[:, None] + 1970
    person, column = np.nonzero(adult & here & present)
    earned = people.traits["pay"].to_numpy()[person] * worked[person, column] / 30.4 / 100
    traits = people.traits.iloc[person].reset_index(drop=True)
    return pd.DataFrame(
        {
            "person": person,
            "ar": years[column],
            "loneink_hkr": np.round(earned * rng.normal(1.0, 0.05, len(person))).clip(0).astype(np.int64),
            "akassa_dagar": benefit[person, column],
            "aktivitetsstod_dagar": guarantee[person, column],
            "sjukpenning_dagar": sick[person, column],
            "syssstat": np.where(worked[person, column] > 150, "1", np.where(worked[person, column] > 0, "5", "6")),
            "sun_niva": traits["sun_niva"],
            "sun_inriktning": None,
            "familjetyp": traits["familjetyp"],
            "barn0_6": traits["barn0_6"],
        }
    )


def _assistance(people: People, works: pd.DataFrame, gone: NDArray[np.datetime64], rng: np.random.Generator) -> pd.DataFrame:
    n = len(people)
    busy = _months_of(works, FIRST_YEAR_OF_INTEREST, n) > 0
    month = FIRST_YEAR_OF_INTEREST + np.arange(busy.shape[1])
    since = people.registered.astype("datetime64[M]") - 3
    eligible = ~busy & people.traits["assisted"].to_numpy()[:, None] & (month >= since[:, None])
    eligible &= month < np.minimum(people.pension, gone).astype("datetime64[M]")[:, None]
    person, column = np.nonzero(eligible & (rng.random(eligible.shape, dtype=np.float32) < ASSISTED_MONTHS))
    obstacle, role = rng.choice(OBSTACLES, n, p=OBSTACLE_SHARES), np.where(rng.random(n) < 0.7, "sokande", "medsokande")
    amount = np.round(rng.normal(9_500, 2_500, n)).clip(800).astype(np.int64)
    households = np.array([f"H{number:06d}" for number in range(n)], dtype=object)
    return pd.DataFrame(
        {
            "person": person,
            "hushall_lopnr": households[person],
            "manad": months_text(month)[column],
            "belopp_kr": amount[person],
            "forsorjningshinder": obstacle[person],
            "roll": role[person],
        }
    )
