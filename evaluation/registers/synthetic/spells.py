"""How does what happened look as spells, the way the employment service would register it?

A path of moves becomes spells that end where the registers end, with registrations, categories (only their start days are typed in, as in the real
register) and the states an evaluator should find in them. Each person also gets a history: earlier registrations, and for some a subsidised job in
2006.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaluation.registers.synthetic import walk
from evaluation.registers.synthetic.people import COMPLETE_MONTH, People

END = (COMPLETE_MONTH + 1).astype("datetime64[D]")  # the first day the registers say nothing about
DAY = np.timedelta64(1, "D")
DATE = "datetime64[s]"  # the coarsest unit pandas has
BY_CATEGORY = 0.4  # share of unsubsidised jobs that show as a category before the person is deregistered
CATEGORY_DAYS = 90
LONGEST_PROGRAMME_DAYS, LONGEST_IMPEDIMENT_DAYS = 90, 45
SHORTEST_WITH_EPISODES_DAYS = 150
EARLIER_REGISTRATIONS = 3
HISTORY_REASONS = {"1": 0.30, "2": 0.25, "8": 0.08, "6": 0.22, "5": 0.15}
PLUS_JOB_YEAR, PLUS_JOB_SHARE = 2006, 0.04
REASON_STATE = {
    **dict.fromkeys("123", "arbete_osubventionerat"),
    "5": "avregistrerad_annan",
    "6": "okand",
    "7": "avliden",
    "8": "studier_reguljara",
    "9": "flyttad",
}
MOVE_REASON = np.array(["", "1", "", "", "", "8", "5", "5", "6", "5", "9", "7", "5", ""], dtype=object)  # by the state moved to


@dataclass(frozen=True, eq=False)
class Spells:
    """The same lives as spells, half-open [start, stop), by position of the person.

    Attributes
    ----------
    segments : DataFrame
        person, start, stop, state (position in walk.STATES), jug (first day in JUG), after (the state moved to; -1 where the registers end),
        before (the state come from; -1 at entry).
    registrations : DataFrame
        person, number, start, stop (NaT while open), reason.
    categories : DataFrame
        person, number (of the registration), start, stop (NaT while open), code.
    states : DataFrame
        person, start, stop, state: what should be found in the registers, one state per person and day.
    """

    segments: pd.DataFrame
    registrations: pd.DataFrame
    categories: pd.DataFrame
    states: pd.DataFrame


def make_spells(people: People, path: walk.Path, rng: np.random.Generator) -> Spells:
    """Turn a path into spells up to the end of the registers."""
    segments = _segments(path)
    portions = _registered_portions(people, segments, rng)
    registrations = _registrations(portions, rng)
    categories = pd.concat([_waiting(people, portions), _unemployed(people, portions, rng), _employed(portions)], ignore_index=True)
    old_registrations, old_categories = _history(people, rng)
    registrations, categories = _number(
        pd.concat([old_registrations, registrations], ignore_index=True), pd.concat([old_categories, categories], ignore_index=True)
    )
    return Spells(segments, registrations, categories, _states(people, segments, registrations, categories))


def _segments(path: walk.Path) -> pd.DataFrame:
    same = path.person[1:] == path.person[:-1]
    stop = np.append(np.where(same, path.day[1:], END), END)
    frame = pd.DataFrame(
        {
            "person": path.person,
            "start": path.day,
            "stop": np.minimum(stop, END),
            "state": path.state.astype(np.int64),
            "jug": path.jug,
            "after": np.append(np.where(same & (path.day[1:] < END), path.state[1:], -1), -1),
            "before": np.append(-1, np.where(same, path.state[:-1], -1)),
        }
    )
    inside: pd.DataFrame = frame[frame["start"] < END].reset_index(drop=True)
    return inside


def _registered_portions(people: People, segments: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Give the part of each segment in which the person is registered."""
    by_category = (segments["state"] == walk.UNSUBSIDISED) & (segments["before"] == walk.UNEMPLOYED) & (rng.random(len(segments)) < BY_CATEGORY)
    registered = by_category | segments["state"].isin((walk.UNEMPLOYED, *walk.SUBSIDISED_STATES))
    frame = segments[registered].copy()
    short = frame["state"] == walk.UNSUBSIDISED
    frame["left"] = np.where(short & (frame["start"] + CATEGORY_DAYS * DAY < frame["stop"]), frame["start"] + CATEGORY_DAYS * DAY, frame["stop"])
    entry = frame["before"] == -1
    frame["came"] = np.where(entry, people.registered[frame["person"]], frame["start"])
    follows = (frame["person"] == frame["person"].shift()) & (frame["came"] == frame["left"].shift())
    return frame.assign(registration=(~follows).cumsum())


def _registrations(portions: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    first, last = portions.groupby("registration").head(1), portions.groupby("registration").tail(1)
    to_work = (last["after"] == walk.UNSUBSIDISED) | (last["state"] == walk.UNSUBSIDISED)
    kind_of_job = np.where(last["state"].isin(walk.SUBSIDISED_STATES), "3", rng.choice(["1", "2"], len(last), p=[0.35, 0.65]))
    reason = np.where(to_work, kind_of_job, MOVE_REASON[last["after"].to_numpy()])
    still_open = (last["left"] >= END).to_numpy()
    return pd.DataFrame(
        {
            "person": first["person"].to_numpy(),
            "start": first["came"].to_numpy(),
            "stop": np.where(still_open, np.datetime64("NaT"), last["left"]),
            "reason": pd.Series(reason).mask(still_open),
        }
    )


def _waiting(people: People, portions: pd.DataFrame) -> pd.DataFrame:
    """Openly unemployed: from the registration to JUG, and everybody without JUG."""
    frame = portions[portions["state"] == walk.UNEMPLOYED]
    waits = (frame["came"] < frame["jug"]) | people.traits["without_jug"].to_numpy()[frame["person"]]
    return _starts(frame[waits], frame.loc[waits, "came"], "11")


def _unemployed(people: People, portions: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """In JUG: the guarantee itself (70), a placement (54) and an impediment (14) within it."""
    frame = portions[(portions["state"] == walk.UNEMPLOYED) & ~people.traits["without_jug"].to_numpy()[portions["person"]]]
    frame = frame[frame["jug"] < frame["stop"]]
    base = _starts(frame, frame["jug"], "70")
    days = (frame["stop"] - frame["jug"]).dt.days
    parts = [base]
    for code, chance, begins, share, longest in (("54", 0.5, 0.15, 0.20, LONGEST_PROGRAMME_DAYS), ("14", 0.25, 0.60, 0.15, LONGEST_IMPEDIMENT_DAYS)):
        some = ((days >= SHORTEST_WITH_EPISODES_DAYS) & (rng.random(len(frame)) < chance)).to_numpy()
        begin = frame["jug"] + pd.to_timedelta((days * begins).astype(int), unit="D")
        end = begin + pd.to_timedelta((days * share).clip(upper=longest).astype(int), unit="D")
        parts += [_starts(frame[some], begin[some], code), _starts(frame[some], end[some], "70")]
    return pd.concat(parts, ignore_index=True)


def _employed(portions: pd.DataFrame) -> pd.DataFrame:
    frame = portions[portions["state"] != walk.UNEMPLOYED]
    extra = np.where(frame["start"].to_numpy().astype(np.int64) % 3 == 0, "30", "51")
    extra = np.where(frame["start"] < np.datetime64("2018-05-01"), np.where(frame["start"] < np.datetime64("2015-11-01"), "49", "51"), extra)
    code = np.select(
        [frame["state"] == walk.UNSUBSIDISED, frame["state"] == walk.NEW_START, frame["state"] == walk.DISABILITY], ["31", "33", "42"], extra
    )
    return _starts(frame, frame["start"], code)


def _starts(frame: pd.DataFrame, start: pd.Series, code: str | NDArray[np.str_]) -> pd.DataFrame:
    return pd.DataFrame({"person": frame["person"].to_numpy(), "start": start.to_numpy(), "code": code})


def _history(people: People, rng: np.random.Generator) -> tuple[pd.DataFrame, pd.DataFrame]:
    n = len(people)
    until, alive = people.registered.copy(), np.ones(n, dtype=bool)
    adult = (people.traits["fodelsear"].to_numpy() + 18 - 1970).astype("datetime64[Y]").astype("datetime64[D]")
    registrations, categories = [], []
    for _ in range(EARLIER_REGISTRATIONS):
        stop = until - (90 + rng.exponential(500, n)).astype(np.int64)
        start = stop - (60 + rng.exponential(250, n)).astype(np.int64)
        alive = alive & (rng.random(n) < 0.6) & (start > adult)
        who = np.flatnonzero(alive)
        reason = rng.choice(list(HISTORY_REASONS), n, p=list(HISTORY_REASONS.values()))
        registrations.append(pd.DataFrame({"person": who, "start": start[who], "stop": stop[who], "reason": reason[who]}))
        trained = who[rng.random(len(who)) < 0.3]
        middle = start + (stop - start) // 2
        categories += [
            pd.DataFrame({"person": who, "start": start[who], "code": "11"}),
            pd.DataFrame({"person": trained, "start": middle[trained], "code": "81"}),
        ]
        until = np.where(alive, start, until)
    # a registration with a subsidised job in 2006, when the code of today's extra service job meant another
    opens, job, closes = (np.datetime64(f"{PLUS_JOB_YEAR}-{day}") for day in ("01-10", "02-15", "11-20"))
    veterans = np.flatnonzero((adult < opens) & (until > np.datetime64("2007-06-01")) & (rng.random(n) < PLUS_JOB_SHARE))
    registrations.append(pd.DataFrame({"person": veterans, "start": opens, "stop": closes, "reason": "5"}))
    categories += [pd.DataFrame({"person": veterans, "start": opens, "code": "11"}), pd.DataFrame({"person": veterans, "start": job, "code": "49"})]
    return pd.concat(registrations, ignore_index=True), pd.concat(categories, ignore_index=True)


def _number(registrations: pd.DataFrame, categories: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Number the registrations of each person, and end each category where the next begins or the registration ends."""
    registrations = registrations.astype({"start": DATE, "stop": DATE}).sort_values(["person", "start"], ignore_index=True)
    registrations.insert(1, "number", registrations.groupby("person").cumcount() + 1)
    # stable: of categories that start on one day the one made later stands, as in the register
    categories = categories.astype({"start": DATE}).sort_values(["person", "start"], kind="stable").drop_duplicates(["person", "start"], keep="last")
    opened = registrations.rename(columns={"start": "opened", "stop": "closed"}).sort_values("opened")
    joined = pd.merge_asof(
        categories.sort_values("start"), opened[["person", "number", "opened", "closed"]], left_on="start", right_on="opened", by="person"
    ).sort_values(["person", "start"], ignore_index=True)
    follows = (joined["person"] == joined["person"].shift()) & (joined["number"] == joined["number"].shift())
    joined = joined[~(follows & (joined["code"] == joined["code"].shift()))]
    following = joined.groupby(["person", "number"])["start"].shift(-1)
    stop = following.fillna(joined["closed"])
    return registrations, joined.assign(stop=stop)[["person", "number", "start", "stop", "code"]].reset_index(drop=True)


CODE_STATE = {
    "11": "oppet_arbetslos",
    "14": "forhinder",
    "33": "nystartsjobb",
    "42": "arbete_lonebidrag",
    "31": "arbete_osubventionerat",
    **dict.fromkeys(("54", "70", "81"), "program"),
    **dict.fromkeys(("30", "49", "51"), "arbete_subventionerat"),
}


def _states(people: People, segments: pd.DataFrame, registrations: pd.DataFrame, categories: pd.DataFrame) -> pd.DataFrame:
    """Say which state the registers should show on each day."""
    shown = categories.assign(state=categories["code"].map(CODE_STATE), stop=categories["stop"].fillna(END))
    following = registrations.groupby("person")["start"].shift(-1)
    tails = registrations.assign(state=registrations["reason"].map(REASON_STATE), start=registrations["stop"], stop=following.fillna(END))
    tails = tails[tails["start"].notna()]

    # where the path says more than the reason for deregistration
    known = segments[segments["state"].isin((walk.SICK, walk.PARENTAL))]
    was_in_jug = (segments["jug"].shift() < segments["start"]) & ~people.traits["without_jug"].to_numpy()[segments["person"]]
    known = known[(known["state"] != walk.PARENTAL) | was_in_jug[known.index]]
    known = known.assign(start_of_tail=known["start"], told=np.array(walk.STATES, dtype=object)[known["state"]])
    tails = tails.merge(known[["person", "start_of_tail", "told"]], how="left", left_on=["person", "start"], right_on=["person", "start_of_tail"])
    tails["state"] = tails["told"].fillna(tails["state"])
    spells = pd.concat([shown, tails])[["person", "start", "stop", "state"]]

    retired = segments[segments["state"] == walk.PENSION].assign(state="pension")[["person", "start", "stop", "state"]]
    until = spells["person"].map(retired.set_index("person")["start"]).fillna(END)
    spells = pd.concat([spells.assign(stop=spells["stop"].where(spells["stop"] < until, until)), retired])
    return merge_states(spells[spells["start"] < spells["stop"]])


def merge_states(spells: pd.DataFrame) -> pd.DataFrame:
    """Join spells of the same state that touch."""
    spells = spells.sort_values(["person", "start"], ignore_index=True)
    touches = (
        (spells["person"] == spells["person"].shift()) & (spells["state"] == spells["state"].shift()) & (spells["start"] == spells["stop"].shift())
    )
    return (
        spells.groupby((~touches).cumsum())
        .agg(person=("person", "first"), start=("start", "first"), stop=("stop", "last"), state=("state", "first"))
        .reset_index(drop=True)
    )
