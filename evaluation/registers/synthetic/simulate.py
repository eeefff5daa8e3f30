"""Which registers would the agencies deliver, had Malmökraften had exactly this effect?

References
----------
Morris, White & Crowther (2019), Statistics in Medicine 38, 2074-2102 (simulation studies with a known truth).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from evaluation.errors import InputError, Problem
from evaluation.registers.synthetic import walk
from evaluation.registers.synthetic.dirt import soil
from evaluation.registers.synthetic.margins import compare_margins
from evaluation.registers.synthetic.people import FIRST_YEAR_OF_INTEREST, People, draw_people
from evaluation.registers.synthetic.project import SICK_SHARE, add_sick_team, participation
from evaluation.registers.synthetic.records import Tables, calendar_tables, make_records
from evaluation.registers.synthetic.spells import make_spells
from evaluation.registers.synthetic.truth import potential_outcomes, true_effects

NOTE = "syntetisk"
SURPLUS = 1.4  # people drawn per person wanted, since some leave before 2016
DECLINED = 0.12  # offered without starting, as a share of those who start; not verified
RAMP_UP = {"2018-03": 0.4, "2018-04": 0.7, "2020-02": 0.5, "2020-03": 0.5, "2020-04": 0.3, "2020-05": 0.4, "2020-06": 0.6, "2020-07": 0.4}
PHASES = (("2018-03", "2019-12"), ("2020-02", "2022-06"))

Sorting = Literal["none", "job_ready", "hard_to_place"]
SORTING: dict[Sorting, float] = {"none": 0.0, "job_ready": 1.0, "hard_to_place": -0.6}  # log odds of a start per standard deviation of readiness


class Simulation(BaseModel):
    """What kind of world is simulated.

    Attributes
    ----------
    n_participants, pool : int
        People who start Malmökraften, the sick-leave team included, and other people who are in JUG some day from 2016 to 2023.
    seed : int
    effect : Effect
    sorting : {"none", "job_ready", "hard_to_place"}
        Who is more likely to start, by traits the registers show.
    hidden_bias : float
        Log odds of a start per standard deviation of what the registers do not show.
    dirt : float
        Share of the records that are given each fault of the register, from 0 to 0.2.
    municipality : str
        Code of where everybody lives.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    n_participants: int = Field(4_000, ge=40)
    pool: int = Field(40_000, ge=400)
    seed: int = Field(ge=0)
    effect: walk.Effect = walk.EFFECTS["published"]
    sorting: Sorting = "hard_to_place"
    hidden_bias: float = 0.0
    dirt: float = Field(0.0, ge=0, le=0.2)
    municipality: str = Field("1280", pattern=r"^[0-9]{4}$")


@dataclass(frozen=True, eq=False)
class SyntheticRegisters:
    """Registers of people who do not exist.

    Attributes
    ----------
    spec : Simulation
    tables : dict of str to DataFrame
        As an agency would deliver them; `read_registers(tables)` is the door.
    potential : DataFrame
        What happens to each participant in each world, from `potential_outcomes`.
    states : DataFrame
        lopnr, start, stop, state: what the registers should be found to say, one state per person and day, half-open.
    margins : DataFrame
        Shares in these registers beside the published ones: fact, published, synthetic, source.
    planted : dict of str to int
        How many faults of each kind were planted, by the audit rule that should find them.
    """

    spec: Simulation
    tables: Tables
    potential: pd.DataFrame
    states: pd.DataFrame
    margins: pd.DataFrame
    planted: dict[str, int]

    @cached_property
    def truth(self) -> pd.DataFrame:
        """The true effects on the participants, from `true_effects`; averaged when first asked for."""
        return true_effects(self.potential)


def simulate_registers(
    n_participants: int = 4_000,
    pool: int = 40_000,
    *,
    seed: int,
    effect: walk.Effect | str = "published",
    sorting: Sorting = "hard_to_place",
    hidden_bias: float = 0.0,
    dirt: float = 0.0,
    municipality: str = "1280",
) -> SyntheticRegisters:
    """Simulate JUG and Malmökraften in Malmö 2016–2023 and write down what each agency would have registered.

    Parameters
    ----------
    n_participants, pool : int
        People who start (the sick-leave team included), and others who are in JUG some day.
    seed : int
        The same seed gives the same registers.
    effect : Effect or str
        What a start does, or the name of one of `EFFECTS`: "published", "none", "constant", "larger_outside_europe", "lock_in".
    sorting : {"none", "job_ready", "hard_to_place"}
        Who starts, by traits the registers show.
    hidden_bias : float
        Log odds of a start per standard deviation of a trait that no register shows; with `effect="none"`, participants are selected but nothing is
        done.
    dirt : float
        Share of records with each fault of domain knowledge: duplicates, negative and overlapping spells, late deregistration, reused codes and more.
        The truth does not change.
    municipality : str
        Code of where everybody lives. Nothing else changes with it: the labour market is Malmö's.

    Returns
    -------
    SyntheticRegisters

    Raises
    ------
    InputError
        If the effect is unknown, a number out of bounds, or the pool too small for so many participants.
    """
    if isinstance(effect, str):
        if effect not in walk.EFFECTS:
            raise InputError([Problem("effect", f"{effect!r} is not the name of an effect", f"choose among {', '.join(walk.EFFECTS)}")])
        effect = walk.EFFECTS[effect]
    asked = {"sorting": sorting, "hidden_bias": hidden_bias, "dirt": dirt, "municipality": municipality}
    spec = _spec(n_participants=n_participants, pool=pool, seed=seed, effect=effect, **asked)
    # one stream per purpose, so that a change in one leaves the others as they were
    streams = [np.random.default_rng(stream) for stream in np.random.SeedSequence(seed).spawn(8)]
    drawing, noising, spelling, recording, projecting, ill, naming, soiling = streams

    sick = round(SICK_SHARE * n_participants)
    places = monthly_places(n_participants - sick)
    people, noise, path = _walk_the_pool(spec, places, drawing, noising)
    ids = np.array([f"L{number:07d}" for number in naming.permutation(len(people) + sick) + 1], dtype=object)
    spells = make_spells(people, path, spelling)
    tables = make_records(people, ids[: len(people)], path, spells, recording)
    tables["projekt_deltagande"] = participation(people, ids[: len(people)], path, projecting)
    tables, sick_states = add_sick_team(tables, ids[len(people) :], monthly_places(sick), ill)
    tables |= calendar_tables(NOTE)
    tables = {name: table.assign(kommun=spec.municipality) if "kommun" in table.columns else table for name, table in tables.items()}

    started = np.flatnonzero(~np.isnat(path.start))
    potential = potential_outcomes(people.take(started), ids[started], _worlds(spec, people, noise, path, places, started))
    states = spells.states.assign(lopnr=ids[spells.states["person"]])[["lopnr", "start", "stop", "state"]]
    tables, planted = soil(tables, spec.dirt, soiling)
    return SyntheticRegisters(
        spec,
        tables,
        potential,
        pd.concat([states, sick_states]).sort_values(["lopnr", "start"], ignore_index=True),
        compare_margins(tables, potential),
        planted,
    )


def _spec(**asked: object) -> Simulation:
    try:
        return Simulation.model_validate(asked)
    except ValidationError as error:
        problems = [Problem(".".join(map(str, one["loc"])), one["msg"][:1].lower() + one["msg"][1:], "ask for another") for one in error.errors()]
        raise InputError(problems, "the world cannot be simulated") from None


def monthly_places(n: int) -> NDArray[np.int64]:
    """Spread `n` starts over the months of the two phases, evenly between the phases and with slow beginnings."""
    months = walk.months_of_the_world()
    places = np.zeros(len(months), dtype=np.int64)
    for (first, last), share in zip(PHASES, (n // 2, n - n // 2), strict=True):
        inside = np.flatnonzero((months >= np.datetime64(first)) & (months <= np.datetime64(last)))
        weight = np.array([RAMP_UP.get(str(month), 1.0) for month in months[inside]])
        until = np.round(np.cumsum(weight) / weight.sum() * share).astype(np.int64)
        places[inside] = np.diff(until, prepend=0)
    return places


def _walk_the_pool(
    spec: Simulation, places: NDArray[np.int64], drawing: np.random.Generator, noising: np.random.Generator
) -> tuple[People, walk.Noise, walk.Path]:
    """Walk as many people as are wanted, of those who are in JUG while it matters.

    Who they are is settled in a rehearsal in which nobody starts. Choosing among those who did not start, once it is seen who did, would leave too
    many in the pool who will start later, and they are people who stay long.
    """
    surplus = math.ceil(SURPLUS * (spec.n_participants + spec.pool))
    people, noise = draw_people(surplus, drawing), walk.draw_noise(surplus, noising)
    early = np.flatnonzero(people.entry < FIRST_YEAR_OF_INTEREST.astype("datetime64[D]"))  # who enters later is there for certain
    first, nobody = people.take(early), np.zeros_like(places)
    rehearsal = walk.walk(first, noise.take(early), effect=spec.effect, log_weight=_log_weight(spec, first), places=nobody)
    gone = early[~_present(rehearsal, len(early))]
    present = np.setdiff1d(np.arange(surplus), gone)
    wanted = int(places.sum()) + spec.pool
    kept = present[:wanted]
    people, noise = people.take(kept), noise.take(kept)
    path = walk.walk(people, noise, effect=spec.effect, log_weight=_log_weight(spec, people), places=places, declined=DECLINED)
    started = int((~np.isnat(path.start)).sum())
    if started < places.sum() or len(kept) < wanted:
        found = f"{started} of {places.sum()} could start, {len(kept) - started} of {spec.pool} were left to compare with"
        raise InputError([Problem("participants, pool", f"cannot both be had: {found}", "ask for a larger pool, or fewer participants")])
    return people, noise, path


def _present(path: walk.Path, n: int) -> NDArray[np.bool_]:
    """Say who is unemployed on some day of the years of interest."""
    stop = np.append(np.where(path.person[1:] == path.person[:-1], path.day[1:], walk.LAST_MONTH + 1), walk.LAST_MONTH + 1)
    present = np.zeros(n, dtype=bool)
    present[path.person[(path.state == walk.UNEMPLOYED) & (stop > FIRST_YEAR_OF_INTEREST.astype("datetime64[D]"))]] = True
    return present


def _worlds(
    spec: Simulation, people: People, noise: walk.Noise, path: walk.Path, places: NDArray[np.int64], started: NDArray[np.intp]
) -> dict[str, walk.Path]:
    """Walk the participants again in each world."""
    some, numbers, factual = people.take(started), noise.take(started), path.take(started)

    def again(world: walk.World) -> walk.Path:
        return walk.walk(some, numbers, effect=spec.effect, log_weight=_log_weight(spec, some), places=places, world=world, factual=factual)

    return {"factual": factual, "not_now": again("not_now"), "never": again("never")}


def _log_weight(spec: Simulation, people: People) -> NDArray[np.float64]:
    return SORTING[spec.sorting] * people.readiness + spec.hidden_bias * people.hidden
