"""What did Malmökraften do, when both worlds of every participant are known?

Effects on the participants, by estimand (docs/methods.md): E1 starting now against not now, E2 against never, E3 days until work or studies, E4 the
share in each state by month, E5 how lasting it was. Success is the first exit from unemployment when it is to work or regular studies, as the
registers show it; a person whose contact was lost counts as lost, with or without a job.

References
----------
Rubin (1974), Journal of Educational Psychology 66, 688-701; Sianesi (2004), Review of Economics and Statistics 86, 133-155.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaluation.registers.contract import load_contract
from evaluation.registers.origin import DEFINITIONS, NO, YES, classify_origin
from evaluation.registers.synthetic import walk
from evaluation.registers.synthetic.people import SECOND_PHASE, People
from evaluation.registers.synthetic.spells import DAY, END

HORIZONS_DAYS = (183, 365, 548, 730, 1096)
RESTRICTED_DAYS = 730
STATE_DAYS = tuple(round(month * 365.25 / 12) for month in range(25))
LASTING_DAYS = (90, 180, 365)
NEVER_LEFT = 10**6  # days, beyond every horizon

WITHIN_DAYS = 365  # how lasting a success is is asked of those who succeeded within a year
SUCCESSES = [walk.STATES[state] for state in walk.SUCCESS]

Worlds = dict[str, pd.DataFrame]
Occupied = dict[str, NDArray[np.intp]]  # state numbers by month, of each world


def potential_outcomes(people: People, ids: NDArray[np.object_], worlds: dict[str, walk.Path]) -> pd.DataFrame:
    """Give what happens to each participant in each world: one row per participant and world.

    Parameters
    ----------
    people : People, n of them
        The participants.
    ids : ndarray of str, shape (n,)
    worlds : dict of str to Path
        "factual", "not_now" and "never", each of the same participants in the same order.

    Returns
    -------
    DataFrame
        lopnr, world, start, days (to the first exit), exit (state), lasting_90, lasting_180, lasting_365 (still in work or studies so long after a
        success), returned (unemployed again within a year of a success), kon, fas, the three definitions of origin, and state_<month> for months 0
        to 24.
    """
    start = worlds["factual"].start
    return pd.concat([_outcomes(people, ids, start, name, path) for name, path in worlds.items()], ignore_index=True)


def true_effects(potential: pd.DataFrame) -> pd.DataFrame:
    """Average the effects over the participants, all together and by group.

    Parameters
    ----------
    potential : DataFrame
        From `potential_outcomes`.

    Returns
    -------
    DataFrame
        estimand, what, horizon_days, by, level, n, started, otherwise, effect. Shares as shares, E3 in days. Only people whose registers reach the
        horizon are counted, as in an estimate with equal potential follow-up. Differences of effects between two levels are rows of their own,
        without `started` and `otherwise`.
    """
    wide = {str(name): part.reset_index(drop=True) for name, part in potential.groupby("world")}
    occupied = {name: _numbered_states(wide[name]) for name in ("factual", "not_now")}
    now = wide["factual"]
    crossed = now["kon"].str.cat(now[DEFINITIONS[0]], sep=" x ")
    groupings = {"kon": now["kon"], **{name: now[name] for name in DEFINITIONS}, f"kon x {DEFINITIONS[0]}": crossed, "fas": now["fas"]}
    groups = [("", "", np.ones(len(now), dtype=bool))]
    for by, values in groupings.items():
        groups += [(by, level, (values == level).to_numpy()) for level in sorted(values.unique())]
    parts = [_effects(wide, occupied, members).assign(by=by, level=level) for by, level, members in groups]
    effects = pd.concat(parts, ignore_index=True).assign(effect=lambda frame: frame["started"] - frame["otherwise"])
    differences = [_difference(effects, by, *levels) for by, levels in (("kon", ("2", "1")), *((name, (YES, NO)) for name in DEFINITIONS))]
    columns = ["estimand", "what", "horizon_days", "by", "level", "n", "started", "otherwise", "effect"]
    return pd.concat([effects, *differences], ignore_index=True)[columns]


def _outcomes(people: People, ids: NDArray[np.object_], start: NDArray[np.datetime64], world: str, path: walk.Path) -> pd.DataFrame:
    n = len(people)
    at = _Lookup(path, n)
    first = at.next_move(start)
    there = first < len(path.day)
    move = np.minimum(first, len(path.day) - 1)
    days = np.where(there, (path.day[move] - start).astype(np.int64), NEVER_LEFT)
    exit_state = np.where(there, path.state[move], walk.UNEMPLOYED)
    success = np.isin(exit_state, walk.SUCCESS)
    left = np.where(there, path.day[move], start)
    names = np.array(walk.STATES, dtype=object)
    frame = pd.DataFrame({"lopnr": ids, "world": world, "start": start, "days": days, "exit": names[exit_state]})
    for after in LASTING_DAYS:
        frame[f"lasting_{after}"] = success & np.isin(at.state(left + after), walk.SUCCESS)
    frame["returned"] = success & at.unemployed_within(move, left + 365)
    frame["kon"] = people.traits["kon"].to_numpy()
    origin = classify_origin(people.traits, load_contract().codes["fodelselandgrupp"])
    frame["fas"] = np.where(start < SECOND_PHASE, "1", "2.0")
    occupied = {f"state_{month}": names[at.state(start + day)] for month, day in enumerate(STATE_DAYS)}
    return pd.concat([frame, origin, pd.DataFrame(occupied)], axis=1)


class _Lookup:
    """Finds the state of each person on a day by one sorted search."""

    def __init__(self, path: walk.Path, n: int) -> None:
        self._path, self._n = path, n
        self._key = path.person.astype(np.int64) * NEVER_LEFT + path.day.astype(np.int64)

    def _position(self, day: NDArray[np.datetime64]) -> NDArray[np.intp]:
        wanted = np.arange(self._n, dtype=np.int64) * NEVER_LEFT + day.astype("datetime64[D]").astype(np.int64)
        return np.searchsorted(self._key, wanted, side="right")

    def state(self, day: NDArray[np.datetime64]) -> NDArray[np.int8]:
        """Give the state of each person on its day."""
        return self._path.state[self._position(day) - 1]

    def next_move(self, day: NDArray[np.datetime64]) -> NDArray[np.intp]:
        """Give the position of each person's first move after its day; the length of the path where there is none."""
        position = self._position(day)
        inside = np.minimum(position, len(self._path.day) - 1)
        own = (position < len(self._path.day)) & (self._path.person[inside] == np.arange(self._n))
        return np.where(own, position, len(self._path.day))

    def unemployed_within(self, move: NDArray[np.intp], until: NDArray[np.datetime64]) -> NDArray[np.bool_]:
        """Whether each person is unemployed again after its move, at the latest on the day given."""
        again = np.flatnonzero(self._path.state == walk.UNEMPLOYED)
        if not len(again):
            return np.zeros(self._n, dtype=bool)
        position = np.minimum(np.searchsorted(again, move + 1), len(again) - 1)
        found = again[position]
        back: NDArray[np.bool_] = (found > move) & (self._path.person[found] == np.arange(self._n)) & (self._path.day[found] <= until)
        return back


def _effects(wide: Worlds, occupied: Occupied, members: NDArray[np.bool_]) -> pd.DataFrame:
    successes = {name: frame["exit"].isin(SUCCESSES).to_numpy() for name, frame in wide.items()}
    days = {name: frame["days"].to_numpy() for name, frame in wide.items()}
    until = {name: np.where(successes[name], days[name], RESTRICTED_DAYS).clip(max=RESTRICTED_DAYS) for name in wide}
    start = wide["factual"]["start"].to_numpy()

    def followed(horizon: int) -> NDArray[np.bool_]:
        return np.asarray(members & (start + horizon * DAY < END))

    rows = []
    for horizon in HORIZONS_DAYS:
        reached = {name: successes[name] & (days[name] <= horizon) for name in wide}
        rows += [
            _row(estimand, "work or studies", horizon, reached, other, followed(horizon)) for estimand, other in (("E1", "not_now"), ("E2", "never"))
        ]
    for what, values in (
        ("days until work or studies", until),
        ("days until any exit", {name: days[name].clip(max=RESTRICTED_DAYS) for name in wide}),
    ):
        rows.append(_row("E3", what, RESTRICTED_DAYS, values, "not_now", followed(RESTRICTED_DAYS)))
    for month, day in enumerate(STATE_DAYS):
        rows += _occupancy(occupied, month, day, followed(day))
    early = {name: successes[name] & (days[name] <= WITHIN_DAYS) for name in wide}
    lasting = [(f"still in work or studies after {after} days", WITHIN_DAYS + after, f"lasting_{after}") for after in LASTING_DAYS]
    for what, horizon, column in (*lasting, ("unemployed again within a year", WITHIN_DAYS + 365, "returned")):
        values = {name: wide[name][column].to_numpy() for name in wide}
        rows.append(_row("E5", what, horizon, values, "not_now", followed(horizon), early))
    return pd.DataFrame(rows)


def _row(
    estimand: str,
    what: str,
    horizon: int,
    values: Mapping[str, NDArray[np.generic]],
    otherwise: str,
    followed: NDArray[np.bool_],
    among: dict[str, NDArray[np.bool_]] | None = None,
) -> dict[str, object]:
    def mean(world: str) -> float:
        counted = followed & among[world] if among else followed
        return float(values[world][counted].mean()) if counted.any() else np.nan

    return {
        "estimand": estimand,
        "what": what,
        "horizon_days": horizon,
        "n": int(followed.sum()),
        "started": mean("factual"),
        "otherwise": mean(otherwise),
    }


def _numbered_states(outcomes: pd.DataFrame) -> NDArray[np.intp]:
    """Give each participant's state in each month by its number, shape (n, months)."""
    months = [f"state_{month}" for month in range(len(STATE_DAYS))]
    return np.column_stack([pd.Categorical(outcomes[month], categories=walk.STATES).codes for month in months]).astype(np.intp)


def _occupancy(occupied: Occupied, month: int, day: int, followed: NDArray[np.bool_]) -> list[dict[str, object]]:
    n = int(followed.sum())
    counts = {name: np.bincount(states[followed, month], minlength=len(walk.STATES)) for name, states in occupied.items()}
    shares = {name: count / n if n else np.zeros(len(count)) for name, count in counts.items()}
    return [
        {
            "estimand": "E4",
            "what": state,
            "horizon_days": day,
            "n": n,
            "started": shares["factual"][number],
            "otherwise": shares["not_now"][number],
        }
        for number, state in enumerate(walk.STATES[:-1])
    ]


def _difference(effects: pd.DataFrame, by: str, level: str, reference: str) -> pd.DataFrame:
    key = ["estimand", "what", "horizon_days"]
    one, other = (effects[(effects["by"] == by) & (effects["level"] == name)].set_index(key) for name in (level, reference))
    rows = pd.DataFrame({"n": one["n"] + other["n"], "effect": one["effect"] - other["effect"]}).reset_index()
    return rows.assign(by=by, level=f"{level} - {reference}")
