"""Who took part, in which team, and who were the long-term sick?"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaluation.registers.synthetic import walk
from evaluation.registers.synthetic.people import SECOND_PHASE, People, draw_people
from evaluation.registers.synthetic.records import Tables
from evaluation.registers.synthetic.spells import DAY, END

SICK_SHARE = 0.075  # 300 of the 4,000 of phase 1 were long-term sick
SICK_YEARS = (2, 20)  # the sick-leave team's people had been sick for 2 to 20 years
PROJECT_DAYS = 365
SICK_EXIT_A_MONTH = 0.015
BORN_SICK = (1_958, 1_990)  # far from pension while the registers last


def participation(people: People, ids: NDArray[np.object_], path: walk.Path, rng: np.random.Generator) -> pd.DataFrame:
    """Make the project's own list: everybody who started, and everybody who was offered a start without taking it."""
    start = path.start
    who = np.flatnonzero(~np.isnat(start) | ~np.isnat(path.offered))
    begins = start[who]
    day = np.where(np.isnat(begins), path.offered[who], begins)
    offered = day - rng.integers(7, 45, len(who))
    out, kind = _first_exit(path, start, len(people))
    ended = np.minimum(np.minimum(out[who], begins + PROJECT_DAYS), END)
    known = ~np.isnat(out[who]) & (out[who] < END) & (out[who] <= begins + PROJECT_DAYS)
    result = np.where(np.isin(kind[who], walk.SUCCESS), np.where(kind[who] == walk.STUDIES, "studier", "arbete"), "annat")
    result = np.where(kind[who] == walk.SICK, "sjuk", np.where(kind[who] == walk.MOVED, "flytt", result))
    traits = people.traits.iloc[who]
    return pd.DataFrame(
        {
            "lopnr": ids[who],
            "fas": np.where(day < SECOND_PHASE, "1", "2.0"),
            "erbjuden_datum": offered,
            "start_datum": begins,
            "slut_datum": np.where(ended < END, ended, np.datetime64("NaT")),
            "team": traits["district"].astype(str).mask(np.isnat(begins)).to_numpy(),
            "malgrupp": np.where(traits["without_jug"], "ek_bistand_12m", "JUG"),
            "projekt_resultat": pd.Series(result).where(known),
            "resultat_datum": np.where(known, out[who], np.datetime64("NaT")),
        }
    )


def _first_exit(path: walk.Path, start: NDArray[np.datetime64], n: int) -> tuple[NDArray[np.datetime64], NDArray[np.int64]]:
    after = path.day > start[path.person]
    person, first = np.unique(path.person[after], return_index=True)
    day, state = np.full(n, np.datetime64("NaT"), dtype="datetime64[D]"), np.zeros(n, dtype=np.int64)
    day[person], state[person] = path.day[after][first], path.state[after][first]
    return day, state


def add_sick_team(tables: Tables, ids: NDArray[np.object_], places: NDArray[np.int64], rng: np.random.Generator) -> tuple[Tables, pd.DataFrame]:
    """Add the people of the sick-leave team: on full sickness benefit for years, not registered, without a counterpart in JUG.

    Returns
    -------
    tables : dict of str to DataFrame
    states : DataFrame
        lopnr, start, stop, state.
    """
    n = len(ids)
    people = draw_people(n, rng)
    people.traits["fodelsear"] = rng.integers(*BORN_SICK, n)
    people.traits["invandringsar"] = people.traits["invandringsar"].mask(
        people.traits["invandringsar"] < people.traits["fodelsear"], people.traits["fodelsear"]
    )
    month = np.repeat(walk.months_of_the_world(), places)
    start = month.astype("datetime64[D]") + rng.integers(0, 28, n)
    since = start - (365.25 * rng.uniform(*SICK_YEARS, n)).astype(np.int64)
    adult = (people.traits["fodelsear"].to_numpy() + 20 - 1970).astype("datetime64[Y]").astype("datetime64[D]")
    since = np.minimum(np.maximum(since, adult), start - 365 * SICK_YEARS[0])
    last = start + (30 * rng.geometric(SICK_EXIT_A_MONTH, n)).astype(np.int64)
    ended = np.where(last < END - DAY, last, np.datetime64("NaT"))
    persons = people.traits[["kon", "fodelsear", "fodelselandgrupp", "utlsvbakg", "mor_fodelselandgrupp", "far_fodelselandgrupp", "invandringsar"]]
    persons = persons.assign(lopnr=ids, kommun="1280", dod_datum=np.datetime64("NaT", "D"), utvandring_datum=np.datetime64("NaT", "D"), skyddad=False)
    days = (np.minimum(last, END - DAY) - since).astype(np.int64) + 1
    benefit = {
        "lopnr": ids,
        "formanskod": "sjukpenning",
        "fran": since,
        "till": ended,
        "omfattning": 100,
        "bruttodagar": days,
        "nettodagar": days.astype(float),
    }
    project = {
        "lopnr": ids,
        "fas": np.where(start < SECOND_PHASE, "1", "2.0"),
        "erbjuden_datum": start - 30,
        "start_datum": start,
        "slut_datum": ended,
        "team": "FK",
        "malgrupp": "sjukpenning",
        "projekt_resultat": None,
        "resultat_datum": np.datetime64("NaT", "D"),
    }
    more = {"individ": persons, "ersattning_fk": pd.DataFrame(benefit), "projekt_deltagande": pd.DataFrame(project)}
    states = pd.DataFrame({"lopnr": ids, "start": since, "stop": np.minimum(last + 1, END), "state": "sjuk"})
    return tables | {name: _below(tables[name], rows) for name, rows in more.items()}, states


def _below(above: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([above, rows[above.columns].astype(above.dtypes)], ignore_index=True)
