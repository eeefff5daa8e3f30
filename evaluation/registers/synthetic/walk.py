"""What happens to each person, month by month, if Malmökraften is started now, not now, or never?

One function, walked three times over the same random numbers: as it went (`FACTUAL`), as it would have gone had each participant not started in the
month it did but perhaps later (`NOT_NOW`), and had it never started (`NEVER`). The walks agree until the start, so their differences are effects of
individuals, and averages of them the true effects. Within a month a person makes at most one move, on a day between the 1st and the 28th.

Whoever starts is drawn among those who are in JUG that day: `places` a month, by the largest of log weight + Gumbel noise, which is sampling without
replacement in proportion to the weights. In the other walks the month's lowest admitted key stands, so nobody's place depends on anybody else's fate.

References
----------
Sianesi (2004), Review of Economics and Statistics 86, 133-155 (starting now or not now).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from evaluation.registers.synthetic.people import FIRST_MONTH, People

# in the walk's own order; the names are those of data_schema/codes/tillstand.csv, and JUG and open unemployment are one
UNEMPLOYED = 0
MOVES = (
    *("arbete_osubventionerat", "nystartsjobb", "arbete_subventionerat", "arbete_lonebidrag", "studier_reguljara"),
    *("sjuk", "foraldraledig", "okand", "avregistrerad_annan", "flyttad", "avliden"),
)
STATES = ("unemployed", *MOVES, "pension", "before")
UNSUBSIDISED, NEW_START, SUBSIDISED, DISABILITY, STUDIES, SICK, PARENTAL, LOST, OTHER, MOVED, DEAD = range(1, 12)
PENSION, BEFORE = 12, 13
SUCCESS = (UNSUBSIDISED, NEW_START, SUBSIDISED, DISABILITY, STUDIES)
SUBSIDISED_STATES = (NEW_START, SUBSIDISED, DISABILITY)  # still registered with the employment service

HORIZON_MONTHS = 36  # the world goes on this long after the registers end
LAST_MONTH = np.datetime64("2023-12", "M") + HORIZON_MONTHS
EXTRA_SERVICE_DAYS = 450  # days in JUG before an extra service job may be had
NEW_START_DAYS = 365  # days without work before a new start job may be had
SHORTEST_ABSENCE_DAYS = 62  # nobody comes back sooner, so that no absence is short enough to be bridged
LONGEST_WAIT_DAYS = 120  # from coming back to being in JUG again

# chance to leave unemployment a month, by kind, for an average person in an average month; not verified, calibrated to the published shares
BASE = np.array([0.0090, 0.0054, 0.0090, 0.0009, 0.0060, 0.0030, 0.0012, 0.0125, 0.0022, 0.0022, 0.0003])
READINESS = np.array([0.55, 0.35, 0.15, -0.10, 0.35, -0.25, 0.0, 0.10, 0.0, 0.05, 0.0])  # log hazard per standard deviation
HIDDEN = np.array([0.40, 0.30, 0.15, 0.0, 0.25, -0.20, 0.0, 0.10, 0.0, 0.05, 0.0])
# chance to leave another state a month, and the shares that come back unemployed (the rest go on to unsubsidised work)
LEAVE = np.array([np.nan, 0.018, 0.055, 0.075, 0.020, 0.060, 0.100, 0.090, 0.035, 0.030, 0.0, 0.0, 0.0, 0.0])
COME_BACK = {NEW_START: 0.50, SUBSIDISED: 0.70, DISABILITY: 0.60}
TERM_STARTS = (1, 8)

World = Literal["factual", "not_now", "never"]


class Effect(BaseModel):
    """What starting Malmökraften does to the chance of each move, from the month after the start.

    Attributes
    ----------
    unsubsidised, new_start, subsidised, disability, studies : float
        Factor on the monthly chance; 1 is no effect.
    outside_europe : float
        Further factor on all of them for those born outside Europe.
    lock_in : float
        Further factor in the first `lock_in_months` months.
    lock_in_months, lasts_months : int
        The effect is over `lasts_months` after the start.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    unsubsidised: float = Field(1.0, gt=0)
    new_start: float = Field(1.0, gt=0)
    subsidised: float = Field(1.0, gt=0)
    disability: float = Field(1.0, gt=0)
    studies: float = Field(1.0, gt=0)
    outside_europe: float = Field(1.0, gt=0)
    lock_in: float = Field(1.0, gt=0)
    lock_in_months: int = Field(3, ge=0)
    lasts_months: int = Field(24, ge=0)

    def factors(self, months: NDArray[np.int64], outside_europe: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Give the factor on each move, by months since the start (-1 where not started), shape (n, 11)."""
        active = (months >= 1) & (months <= self.lasts_months)
        kinds = np.array([self.unsubsidised, self.new_start, self.subsidised, self.disability, self.studies])
        common = np.where(outside_europe, self.outside_europe, 1.0) * np.where(months <= self.lock_in_months, self.lock_in, 1.0)
        factors = np.ones((len(months), len(MOVES)))
        factors[:, : len(kinds)] = np.where(active[:, None], kinds * common[:, None], 1.0)
        return factors


EFFECTS = {
    "none": Effect(),
    "constant": Effect(unsubsidised=1.4, new_start=1.4, subsidised=1.4, disability=1.4, studies=1.4),
    "larger_outside_europe": Effect(unsubsidised=1.15, new_start=1.15, subsidised=1.15, disability=1.15, studies=1.15, outside_europe=1.5),
    "lock_in": Effect(unsubsidised=1.5, new_start=1.5, subsidised=1.5, disability=1.5, studies=1.5, lock_in=0.4),
    "published": Effect(unsubsidised=1.05, new_start=1.35, subsidised=1.5, disability=1.2, studies=1.1, outside_europe=1.25),
}


@dataclass(frozen=True, eq=False)
class Noise:
    """Every random number the walks use, so that they differ only by what is done.

    Attributes
    ----------
    move, kind : ndarray of float32, shape (n, months)
        Uniform: whether a move is made, and which.
    day : ndarray of int8, shape (n, months)
        On which day of the month, 0 to 27.
    key : ndarray of float32, shape (n, months)
        Gumbel: who is admitted.
    start_day : ndarray of int64, shape (n,)
    wait : ndarray of int64, shape (n,)
        Days from coming back to being in JUG.
    """

    move: NDArray[np.float32]
    kind: NDArray[np.float32]
    day: NDArray[np.int8]
    key: NDArray[np.float32]
    start_day: NDArray[np.int64]
    wait: NDArray[np.int64]

    def take(self, rows: NDArray[np.intp]) -> Noise:
        """Give the numbers of some people."""
        return Noise(self.move[rows], self.kind[rows], self.day[rows], self.key[rows], self.start_day[rows], self.wait[rows])


@dataclass(frozen=True, eq=False)
class Path:
    """What happened: one entry per move, ordered by person and day.

    Attributes
    ----------
    person : ndarray of int, shape (m,)
    day : ndarray of datetime64[D], shape (m,)
        From which day on.
    state : ndarray of int8, shape (m,)
        Position in STATES.
    jug : ndarray of datetime64[D], shape (m,)
        For unemployed: first day in JUG of this spell.
    start : ndarray of datetime64[D], shape (n,)
        Start in Malmökraften; NaT for those who never did.
    lowest_key : ndarray, shape (months,)
        The lowest key admitted in each month.
    offered : ndarray of datetime64[D], shape (n,)
        Start that was offered but not taken; NaT for everybody else.
    """

    person: NDArray[np.intp]
    day: NDArray[np.datetime64]
    state: NDArray[np.int8]
    jug: NDArray[np.datetime64]
    start: NDArray[np.datetime64]
    lowest_key: NDArray[np.float64]
    offered: NDArray[np.datetime64]

    def take(self, rows: NDArray[np.intp]) -> Path:
        """Give what happened to some people, numbered anew in the order asked for, which must be theirs."""
        place = np.full(len(self.start), -1, dtype=np.intp)
        place[rows] = np.arange(len(rows))
        person = place[self.person]
        kept = person >= 0
        return Path(person[kept], self.day[kept], self.state[kept], self.jug[kept], self.start[rows], self.lowest_key, self.offered[rows])


def months_of_the_world() -> NDArray[np.datetime64]:
    """Give every month that is walked."""
    return np.arange(FIRST_MONTH, LAST_MONTH + 1)


def draw_noise(n: int, rng: np.random.Generator) -> Noise:
    """Draw every random number the walks of `n` people use."""
    months = len(months_of_the_world())
    move = rng.random((n, months), dtype=np.float32)
    kind = rng.random((n, months), dtype=np.float32)
    day = rng.integers(0, 28, (n, months), dtype=np.int8)
    key = -np.log(np.maximum(rng.standard_exponential((n, months), dtype=np.float32), np.finfo(np.float32).tiny))
    return Noise(move, kind, day, key, rng.integers(0, 28, n), rng.integers(0, LONGEST_WAIT_DAYS, n))


def walk(
    people: People,
    noise: Noise,
    *,
    effect: Effect,
    log_weight: NDArray[np.float64],
    places: NDArray[np.int64],
    world: World = "factual",
    factual: Path | None = None,
    declined: float = 0.0,
) -> Path:
    """Walk the people through the months of one world.

    Parameters
    ----------
    people : People, n of them
    noise : Noise
        The same people's random numbers, in every world.
    effect : Effect
    log_weight : ndarray, shape (n,)
        Who is more likely to be admitted.
    places : ndarray of int, shape (months,)
        How many start in each month of the factual world.
    world : {"factual", "not_now", "never"}
        In the last two each person's own factual start month, and every month from it on, is closed to it.
    factual : Path or None
        What happened to these same people, for the other worlds.
    declined : float
        People who are offered a start without taking it, as a share of those who start.

    Returns
    -------
    Path
    """
    n, months = len(people), months_of_the_world()
    state, since = np.full(n, BEFORE, dtype=np.int8), np.full(n, np.datetime64("NaT"), dtype="datetime64[D]")
    jug, registered = since.copy(), people.registered.copy()
    start, offered, lowest = since.copy(), since.copy(), np.full(len(months), np.inf)
    moves = _Moves()
    for number, month in enumerate(months):
        first = month.astype("datetime64[D]")
        retired = np.flatnonzero((state < MOVED) & (people.pension == first))
        moves.add(retired, first, PENSION, jug)
        state[retired] = PENSION

        leaving, destination = _draw_moves(people, noise, number, month, state, since, jug, registered, start, effect)
        day = first + noise.day[:, number].astype(np.int64)
        if places[number]:
            begin = first + noise.start_day
            can = (state == UNEMPLOYED) & (jug <= first) & np.isnat(start) & ~(leaving & (day <= begin))
            key = np.where(can, log_weight + noise.key[:, number], -np.inf)
            if factual is None:
                admitted, next_in_line, lowest[number] = _admit(key, int(places[number]), declined)
                offered[next_in_line] = begin[next_in_line]
            else:
                own = factual.start.astype("datetime64[M]")
                open_to = (month != own) if world == "not_now" else (month < own)
                admitted = np.flatnonzero((key >= factual.lowest_key[number]) & open_to)
            start[admitted] = begin[admitted]

        who = np.flatnonzero(leaving)
        back = who[destination[who] == UNEMPLOYED]
        jug[back] = day[back] + noise.wait[back]
        gone = ~np.isin(state[back], SUBSIDISED_STATES)
        registered[back[gone]] = day[back[gone]]
        moves.add(who, day[who], destination[who], jug)
        state[who], since[who] = destination[who], day[who]

        entering = np.flatnonzero(people.entry.astype("datetime64[M]") == month)
        jug[entering] = people.entry[entering]
        moves.add(entering, people.entry[entering], UNEMPLOYED, jug)
        state[entering], since[entering] = UNEMPLOYED, people.entry[entering]
    return moves.path(start, lowest, offered)


def _draw_moves(
    people: People,
    noise: Noise,
    number: int,
    month: np.datetime64,
    state: NDArray[np.int8],
    since: NDArray[np.datetime64],
    jug: NDArray[np.datetime64],
    registered: NDArray[np.datetime64],
    start: NDArray[np.datetime64],
    effect: Effect,
) -> tuple[NDArray[np.bool_], NDArray[np.int8]]:
    """Draw who leaves their state this month, and for which."""
    first = month.astype("datetime64[D]")
    leaving, destination = np.zeros(len(people), dtype=bool), np.full(len(people), UNEMPLOYED, dtype=np.int8)

    here = np.flatnonzero(state == UNEMPLOYED)
    started = start[here].astype("datetime64[M]")
    elapsed = np.where(np.isnat(started), -1, (month - started).astype(np.int64))
    hazard = BASE * np.exp(people.readiness[here, None] * READINESS + people.hidden[here, None] * HIDDEN) * _season(month)
    hazard[:, NEW_START - 1] *= np.where((first - registered[here]).astype(np.int64) >= NEW_START_DAYS, 1.0, 0.1)
    hazard[:, SUBSIDISED - 1] *= np.where((first - jug[here]).astype(np.int64) >= EXTRA_SERVICE_DAYS, 1.6, 0.4)
    hazard[:, DISABILITY - 1] *= np.where(people.traits["disabled"].to_numpy()[here], 6.0, 0.1)
    young = (month.astype("datetime64[Y]").astype(np.int64) + 1970 - people.traits["fodelsear"].to_numpy()[here]) < 42
    hazard[:, PARENTAL - 1] *= np.where(young, np.where(people.women[here], 3.0, 0.8), 0.0)
    hazard *= effect.factors(elapsed, people.outside_europe[here])
    total = hazard.sum(axis=1)
    leave = noise.move[here, number] < -np.expm1(-total)
    steps = np.cumsum(hazard[leave], axis=1)
    leaving[here] = leave
    destination[here[leave]] = 1 + np.minimum((noise.kind[here[leave], number, None] * steps[:, -1:] >= steps).sum(axis=1), len(MOVES) - 1)

    away = np.flatnonzero((state != UNEMPLOYED) & (state < MOVED))
    kind = state[away]
    stayed = (first - since[away]).astype(np.int64)
    ends = (noise.move[away, number] < LEAVE[kind]) & ((stayed >= SHORTEST_ABSENCE_DAYS) | np.isin(kind, SUBSIDISED_STATES))
    leaving[away] = ends
    for one, share in COME_BACK.items():
        onward = away[ends & (kind == one)]
        destination[onward] = np.where(noise.kind[onward, number] < share, UNEMPLOYED, UNSUBSIDISED)
    return leaving, destination


def _season(month: np.datetime64) -> NDArray[np.float64]:
    """Give the factor of the calendar on each move: the labour market, terms, and how many subsidised jobs there were money for."""
    years = float(month.astype("datetime64[M]").astype(np.int64) / 12 + 1970)
    calendar = int(month.astype("datetime64[M]").astype(np.int64) % 12) + 1
    market = np.interp(years, [2016, 2019, 2020.1, 2020.3, 2020.8, 2021.5, 2022.2, 2023.2, 2024], [0.95, 0.95, 0.9, 0.55, 0.7, 1.85, 2.3, 1.6, 1.2])
    supply = np.interp(years, [2015.9, 2017, 2018.9, 2019.2, 2020.5, 2021.3, 2022.5, 2023.5], [0.3, 1.1, 1.2, 0.65, 0.8, 1.8, 1.85, 0.8])
    factors = np.ones(len(MOVES))
    factors[[UNSUBSIDISED - 1, NEW_START - 1]] = market
    factors[[SUBSIDISED - 1, DISABILITY - 1]] = supply
    factors[STUDIES - 1] = (3.0 if calendar in TERM_STARTS else 0.6) * (1.2 if years > 2020.4 else 1.0)
    return factors


def _admit(key: NDArray[np.float64], places: int, declined: float) -> tuple[NDArray[np.intp], NDArray[np.intp], float]:
    best_first = np.argsort(-key, kind="stable")
    best_first = best_first[np.isfinite(key[best_first])]
    line = round(places * (1 + declined))
    admitted = best_first[:places]
    return admitted, best_first[places:line], float(key[admitted[-1]]) if len(admitted) else np.inf


class _Moves:
    """Collects moves month by month."""

    def __init__(self) -> None:
        self._parts: list[tuple[NDArray[np.intp], NDArray[np.datetime64], NDArray[np.int8], NDArray[np.datetime64]]] = []

    def add(
        self, person: NDArray[np.intp], day: NDArray[np.datetime64] | np.datetime64, state: NDArray[np.int8] | int, jug: NDArray[np.datetime64]
    ) -> None:
        days = np.broadcast_to(np.asarray(day, dtype="datetime64[D]"), person.shape)
        self._parts.append((person, days, np.broadcast_to(np.asarray(state, dtype=np.int8), person.shape), jug[person]))

    def path(self, start: NDArray[np.datetime64], lowest: NDArray[np.float64], offered: NDArray[np.datetime64]) -> Path:
        person, day, state, jug = (np.concatenate(parts) for parts in zip(*self._parts, strict=True))
        order = np.lexsort((day, person))
        return Path(person[order], day[order], state[order], jug[order], start, lowest, np.where(np.isnat(start), offered, np.datetime64("NaT")))
