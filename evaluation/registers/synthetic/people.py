"""Who are the synthetic people, and how easily would each find work?

Traits are drawn so that the mix of sex, origin, education and support resembles the target group in Malmö. `readiness` is what the registers show of
how close to work a person stands, `hidden` is what they do not show. Both raise the chance to leave;
whether they also decide who starts is a choice of the simulation (sorting, hidden bias).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

FIRST_MONTH = np.datetime64("2013-07", "M")  # two and a half years before the first year of interest, so that its stock has grown by itself
FIRST_YEAR_OF_INTEREST = np.datetime64("2016-01", "M")
LAST_ENTRY = np.datetime64("2023-06", "M")
SECOND_PHASE = np.datetime64("2020-01-01")
COMPLETE_MONTH = np.datetime64("2023-12", "M")  # the registers end here; the world goes on, so that the truth is known for every horizon

# not verified against any table: chosen so that about seven in ten are born abroad and half outside Europe
REGIONS = {"00": 0.29, "01": 0.01, "02": 0.05, "03": 0.13, "04": 0.12, "05": 0.003, "06": 0.02, "07": 0.36, "08": 0.002, "09": 0.005, "11": 0.01}
OUTSIDE_EUROPE = ("04", "05", "06", "07", "08")
SWEDEN = "00"
WOMEN = 0.47
WITHOUT_JUG = 0.05  # registered a year with social assistance but not in JUG: the ESF application admits them
DISTRICTS = 10
YOUNGEST, OLDEST = 20, 61  # at entry
EDUCATION = ("1", "2", "3", "4", "5", "6", "")  # first digit of SUN; empty is missing
EDUCATION_BORN_IN_SWEDEN = (0.02, 0.27, 0.52, 0.07, 0.10, 0.005, 0.015)
EDUCATION_BORN_ABROAD = (0.22, 0.19, 0.28, 0.07, 0.13, 0.01, 0.10)


@dataclass(frozen=True, eq=False)
class People:
    """Synthetic people, one entry each, before anything happens to them.

    Attributes
    ----------
    traits : DataFrame, shape (n, ...)
        kon, fodelsear, fodelselandgrupp, utlsvbakg, mor_/far_fodelselandgrupp, invandringsar, sun_niva, familjetyp, barn0_6, district, disabled,
        assisted (social assistance), without_jug, pay (monthly, SEK, when in work).
    entry : ndarray of datetime64[D], shape (n,)
        First day in JUG; for those without JUG, the day they have been registered a year.
    registered : ndarray of datetime64[D], shape (n,)
        First day of the registration that led there.
    pension : ndarray of datetime64[D], shape (n,)
    readiness, hidden : ndarray, shape (n,)
        Standardised; larger is closer to work.
    """

    traits: pd.DataFrame
    entry: NDArray[np.datetime64]
    registered: NDArray[np.datetime64]
    pension: NDArray[np.datetime64]
    readiness: NDArray[np.float64]
    hidden: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.entry)

    @cached_property
    def women(self) -> NDArray[np.bool_]:
        """Who is a woman, shape (n,)."""
        return (self.traits["kon"] == "2").to_numpy()

    @cached_property
    def outside_europe(self) -> NDArray[np.bool_]:
        """Who was born outside Europe, shape (n,)."""
        return self.traits["fodelselandgrupp"].isin(OUTSIDE_EUROPE).to_numpy()

    def take(self, rows: NDArray[np.intp]) -> People:
        """Give some of the people, in the order asked for."""
        return People(
            self.traits.iloc[rows].reset_index(drop=True),
            self.entry[rows],
            self.registered[rows],
            self.pension[rows],
            self.readiness[rows],
            self.hidden[rows],
        )


def draw_people(n: int, rng: np.random.Generator) -> People:
    """Draw people who enter JUG between the middle of 2013 and the middle of 2023.

    Parameters
    ----------
    n : int
    rng : Generator

    Returns
    -------
    People
    """
    months = np.arange(FIRST_MONTH, LAST_ENTRY + 1)
    weights = np.where((months >= np.datetime64("2020-09", "M")) & (months <= np.datetime64("2021-12", "M")), 1.25, 1.0)  # the pandemic's wave
    entry = rng.choice(months, n, p=weights / weights.sum()).astype("datetime64[D]") + rng.integers(0, 28, n).astype("timedelta64[D]")
    registered = entry - rng.integers(300, 430, n).astype("timedelta64[D]")
    year = _year(entry)

    traits = pd.DataFrame({"kon": np.where(rng.random(n) < WOMEN, "2", "1")})
    age = np.clip(np.round(rng.normal(41, 11, n)), YOUNGEST, OLDEST).astype(np.int64)
    traits["fodelsear"] = year - age
    traits["fodelselandgrupp"] = rng.choice(list(REGIONS), n, p=np.array(list(REGIONS.values())) / sum(REGIONS.values()))
    _draw_background(traits, year, rng)
    _draw_family(traits, age, rng)
    abroad = (traits["fodelselandgrupp"] != SWEDEN).to_numpy()
    levels = np.where(abroad, rng.choice(EDUCATION, n, p=EDUCATION_BORN_ABROAD), rng.choice(EDUCATION, n, p=EDUCATION_BORN_IN_SWEDEN))
    traits["sun_niva"] = levels
    traits["district"] = rng.integers(1, DISTRICTS + 1, n)
    traits["disabled"] = rng.random(n) < np.where(abroad, 0.17, 0.33)
    traits["assisted"] = rng.random(n) < np.where(abroad, 0.49, 0.28)
    traits["without_jug"] = rng.random(n) < WITHOUT_JUG
    traits.loc[traits["without_jug"], "assisted"] = True

    schooling = np.select([levels == "1", levels == "2", levels == "3", levels == ""], [-1.0, -0.5, 0.2, -0.6], 0.6)
    raw = 0.6 * schooling - 0.35 * (age - 41) / 11 - 0.6 * traits["disabled"] - 0.5 * traits["assisted"] - 0.2 * abroad + 0.1 * (traits["kon"] == "1")
    readiness = np.asarray((raw - raw.mean()) / raw.std(), dtype=np.float64)
    hidden = rng.standard_normal(n)
    traits["pay"] = np.round(22_000 + 1_500 * readiness + 1_000 * hidden + rng.normal(0, 1_500, n), -2).clip(12_000).astype(np.int64)
    return People(traits, entry, registered, pension_day(traits["fodelsear"].to_numpy()), readiness, hidden)


def _year(days: NDArray[np.datetime64]) -> NDArray[np.int64]:
    return days.astype("datetime64[Y]").astype(np.int64) + 1970


def pension_day(born: NDArray[np.int64]) -> NDArray[np.datetime64]:
    """Give 1 January of the year in which each reaches the pension age of that year: 65 until 2022, 66 from 2023."""
    return (np.where(born + 65 <= 2022, born + 65, born + 66) - 1970).astype("datetime64[Y]").astype("datetime64[D]")


def _draw_background(traits: pd.DataFrame, year: NDArray[np.int64], rng: np.random.Generator) -> None:
    n, region = len(traits), traits["fodelselandgrupp"].to_numpy(dtype=object)
    born_here = region == SWEDEN
    parents = np.where(born_here, rng.choice(["12", "21", "22"], n, p=[0.24, 0.12, 0.64]), "11")
    traits["utlsvbakg"] = np.where(rng.random(n) < 0.005, "", parents)
    foreign = rng.choice(["03", "04", "07"], n, p=[0.35, 0.20, 0.45])
    mother = np.where(born_here, np.where(parents == "12", foreign, SWEDEN), region)
    traits["mor_fodelselandgrupp"] = mother
    traits["far_fodelselandgrupp"] = np.where(born_here & (parents == "21"), foreign, mother)
    years_here = np.minimum(np.round(rng.exponential(9, n)) + 2, year - traits["fodelsear"].to_numpy())
    traits["invandringsar"] = pd.array(np.where(born_here, 0, year - years_here).astype(np.int64), dtype="Int64")
    traits.loc[born_here, "invandringsar"] = pd.NA


def _draw_family(traits: pd.DataFrame, age: NDArray[np.int64], rng: np.random.Generator) -> None:
    n = len(traits)
    small = (rng.random(n) < np.where(age < 45, 0.38, 0.04)).astype(np.int64)
    traits["barn0_6"] = small * (1 + (rng.random(n) < 0.4))
    couple, children = rng.random(n) < 0.45, (small > 0) | (rng.random(n) < 0.25)
    traits["familjetyp"] = np.select([couple & children, couple, children], ["par_barn", "par", "ensam_barn"], "ensam")
