"""What was known of a person before the index date that may have decided whether they started?

Each covariate is declared once: its name, what it is called in Swedish and English, the register it is read from, and how it comes from what was
known on the eve. A value depends on the person's own past alone, so that no other row moves it; but levels that few have are put together.

References
----------
Lechner & Wunsch (2013). Sensitivity of matching-based program evaluations to the availability of control variables. Labour Economics 21, 111-121.
Chen & Roth (2024). Logs with zeros? Some problems and solutions. Quarterly Journal of Economics 139(2), 891-936.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import pandas as pd

from evaluation.design.cohort import Bools
from evaluation.errors import Problem
from evaluation.registers.history import DAYS_PER_MONTH
from evaluation.registers.origin import BORN_HERE_PARENTS_ABROAD, DEFINITIONS, NO, NOT_KNOWN, UNKNOWN, YES
from evaluation.registers.schema import Field

FEW_ROWS = 10  # a level that fewer rows of either side have cannot tell the sides apart
OTHER = "ovriga"  # such levels together
SECOND_GENERATION = "andra_generation"
_WINDOWS = (  # from how many days back to how many
    (0, 365, "year_1", "året före", "the year before"),
    (365, 730, "year_2", "år 2 före", "year 2 before"),
    (730, 1826, "years_3_5", "år 3–5 före", "years 3–5 before"),
    (1826, 3652, "years_6_10", "år 6–10 före", "years 6–10 before"),
)
_MEMORY_MONTHS = 3652 / DAYS_PER_MONTH  # work longer ago than the longest window is as good as none on record
_THOUSAND_SEK = 1_000.0


class Covariate(NamedTuple):
    """Something known before the index date.

    Attributes
    ----------
    name : str
    titles : (str, str)
        What it is called in Swedish and English.
    table : str
        The register it is read from.
    columns : tuple of str
        What it is made of: columns of `look_back`, of `individ`, and `index_date`.
    value : function
        Makes it of those columns, in that order.
    levels : dict of str to (str, str)
        What the levels of a category are called in Swedish and English; a code that is not here is its own name. Empty for numbers. Where `OTHER` is
        among them, levels too few to tell the sides apart are put together under it.
    usual : bool
        Whether it is used where the plan names no covariates. What another covariate tells already is not.
    """

    name: str
    titles: tuple[str, str]
    table: str
    columns: tuple[str, ...]
    value: Callable[..., pd.Series]
    levels: Mapping[str, tuple[str, str]] = MappingProxyType({})
    usual: bool = True


def _as_is(column: pd.Series) -> pd.Series:
    return column


def _or_none(column: pd.Series) -> pd.Series:
    return column.astype("float64").fillna(0.0)


def _log_thousands(column: pd.Series) -> pd.Series:
    # In thousands, so that the step from nothing to something does not drown every difference in pay, as it does for log(1 + kronor)
    return pd.Series(np.log1p(_or_none(column) / _THOUSAND_SEK))


def _remembered(months: pd.Series) -> pd.Series:
    return months.fillna(np.inf).clip(upper=_MEMORY_MONTHS)


def _unrecorded(*years: pd.Series) -> pd.Series:
    return pd.concat(years, axis=1).isna().sum(axis=1)


def _origin(region: pd.Series, background: pd.Series, outside: pd.Series) -> pd.Series:
    """Give the region of birth, the second generation apart: the levels of which all three definitions of origin are coarser."""
    second = background.eq(BORN_HERE_PARENTS_ABROAD) & outside.eq(YES) & region.eq("sverige")
    return region.mask(second, SECOND_GENERATION)


def _spent(name: str, table: str, titles: tuple[str, str], windows: int) -> list[Covariate]:
    """Declare days spent in something, each year counted once: windows within one another would say the same thing twice."""
    return [
        Covariate(
            f"{name}_{years}",
            (f"{titles[0]}, {swedish}", f"{titles[1]}, {english}"),
            table,
            tuple(f"{name}_{days}" for days in (far, near) if days),
            lambda far, near=0: far - near,
        )
        for near, far, years, swedish, english in _WINDOWS[:windows]
    ]


_YES_NO = {YES: ("ja", "yes"), NO: ("nej", "no"), UNKNOWN: ("okänt", "unknown")}
_EDUCATION = {
    "forgymnasial_kort": ("kortare än 9 år", "less than 9 years"),
    "forgymnasial": ("9-årig grundskola", "9 years of compulsory school"),
    "gymnasial": ("gymnasial", "upper secondary"),
    "eftergymnasial": ("eftergymnasial", "post-secondary"),
    UNKNOWN: ("okänd", "unknown"),
    OTHER: ("övriga", "other"),
}
_REGIONS = {
    "sverige": ("Sverige", "Sweden"),
    SECOND_GENERATION: ("Sverige, föräldrar födda utanför Europa", "Sweden, parents born outside Europe"),
    "norden": ("Norden utom Sverige", "Nordic countries except Sweden"),
    "eu": ("EU utom Norden", "EU except Nordic countries"),
    "ovriga_europa": ("övriga Europa", "rest of Europe"),
    "utanfor_europa": ("utanför Europa", "outside Europe"),
    NOT_KNOWN: ("okänd", "unknown"),
    OTHER: ("övriga", "other"),
}
_ORIGINS = (
    ("Född utanför Europa", "Born outside Europe"),
    ("Född utanför EU och Norden", "Born outside the EU and the Nordic countries"),
    ("Bakgrund utanför Europa", "Background outside Europe"),
)
_OFFICE = {OTHER: ("övriga", "other"), UNKNOWN: ("okänt", "unknown")}
_SINCE_WORK = ("Månader sedan arbete, högst tio år", "Months since work, at most ten years")
_EARNINGS = {
    year: (f"Löneinkomst år {year} före, log(1 + tusental kronor)", f"Earnings in year {year} before, log(1 + thousands of SEK)")
    for year in (1, 2, 3)
}
_INSURANCE = ("Dagar med a-kassa, året före", "Days with unemployment insurance, the year before")
_SUPPORT = ("Dagar med aktivitetsstöd, året före", "Days with activity support, the year before")
_ASSISTANCE = ("Månader med ekonomiskt bistånd", "Months with social assistance")
_UNRECORDED = ("År av tre utan inkomstuppgift", "Years of three without a record of income")

COVARIATES: dict[str, Covariate] = {
    covariate.name: covariate
    for covariate in (
        Covariate("age", ("Ålder, år", "Age, years"), "individ", ("index_date", "fodelsear"), lambda day, born: day.dt.year - born),
        Covariate("kon", ("Kön", "Sex"), "individ", ("kon",), _as_is, {"1": ("man", "man"), "2": ("kvinna", "woman")}),
        Covariate("origin", ("Födelseregion", "Region of birth"), "individ", ("region", "utlsvbakg", DEFINITIONS[2]), _origin, _REGIONS),
        *(Covariate(name, titles, "individ", (name,), _as_is, _YES_NO, usual=False) for name, titles in zip(DEFINITIONS, _ORIGINS, strict=True)),
        Covariate("years_in_sweden", ("År sedan invandring", "Years since immigration"), "individ", ("years_in_sweden",), _or_none),
        Covariate("education", ("Utbildning", "Education"), "arsinkomst", ("education",), _as_is, _EDUCATION),
        Covariate("children_0_6", ("Barn 0–6 år", "Children aged 0–6"), "arsinkomst", ("children_0_6",), _or_none),
        Covariate("disability", ("Funktionsnedsättning", "Disability"), "funktionsnedsattning", ("disability",), _as_is),
        Covariate("days_jug", ("Dagar i JUG hittills", "Days in JUG so far"), "program_beslut", ("days_jug",), _as_is),
        Covariate("days_registered", ("Dagar inskriven hittills", "Days registered so far"), "inskrivning", ("days_registered",), _as_is),
        Covariate("registrations", ("Inskrivningar hittills", "Registrations so far"), "inskrivning", ("registrations",), _as_is),
        Covariate("office", ("Kontor", "Office"), "inskrivning", ("office",), lambda office: office.fillna(UNKNOWN), _OFFICE),
        *_spent("days_unemployed", "sokandekategori", ("Dagar arbetslös", "Days unemployed"), 4),
        *_spent("days_programme", "sokandekategori", ("Dagar i program", "Days in programmes"), 4),
        *_spent("days_work", "sokandekategori", ("Dagar i arbete", "Days in work"), 4),
        Covariate("months_since_work", _SINCE_WORK, "sokandekategori", ("months_since_work",), _remembered),
        *(Covariate(f"earnings_{year}", titles, "arsinkomst", (f"earnings_sek_{year}",), _log_thousands) for year, titles in _EARNINGS.items()),
        Covariate("years_unrecorded", _UNRECORDED, "arsinkomst", tuple(f"earnings_sek_{year}" for year in _EARNINGS), _unrecorded),
        Covariate("insurance_days", _INSURANCE, "arsinkomst", ("insurance_days",), _or_none),
        Covariate("support_days", _SUPPORT, "arsinkomst", ("support_days",), _or_none),
        Covariate("assistance_months", _ASSISTANCE, "ek_bistand", ("assistance_months",), _as_is),
        *_spent("sick_days", "ersattning_fk", ("Sjukdagar", "Sick days"), 2),
    )
}


def find_covariates(names: Sequence[str] | None, delivered: Collection[str]) -> tuple[list[Covariate], list[Problem]]:
    """Give the covariates a study uses.

    Parameters
    ----------
    names : sequence of str or None
        Those asked for; None: all the usual ones whose table was delivered.
    delivered : collection of str
        Tables.

    Returns
    -------
    found : list of Covariate
    problems : list of Problem
        Names of no covariate, and those whose table was not delivered.
    """
    if names is None:
        return [covariate for covariate in COVARIATES.values() if covariate.usual and covariate.table in delivered], []
    where = "cohort.covariates"
    problems = [Problem.unknown(where, f"{name!r} is not a covariate", name, COVARIATES) for name in names if name not in COVARIATES]
    found = [COVARIATES[name] for name in names if name in COVARIATES]
    remedy = "have the table delivered, or take the covariate out"
    problems += [
        Problem(where, f"{covariate.name} is read from {covariate.table}, which was not delivered", remedy)
        for covariate in found
        if covariate.table not in delivered
    ]
    return found, problems


def observe_covariates(seen: pd.DataFrame, treated: Bools, covariates: Sequence[Covariate]) -> pd.DataFrame:
    """Give the covariates that can tell the sides apart.

    Parameters
    ----------
    seen : DataFrame, shape (n, c)
        What was known of each row before its index date.
    treated : ndarray of bool, shape (n,)
    covariates : sequence of Covariate

    Returns
    -------
    DataFrame, shape (n, p)
        Nothing is missing. A covariate that is the same for all of a side is left out: participation cannot be modelled by it, and a difference has
        no standard deviation to be measured in.
    """
    columns = {}
    for covariate in covariates:
        values = covariate.value(*(seen[name] for name in covariate.columns))
        columns[covariate.name] = _merge_few(values, treated) if OTHER in covariate.levels else values
    varying = [name for name, values in columns.items() if min(values[treated].nunique(), values[~treated].nunique()) > 1]
    return pd.DataFrame({name: columns[name] for name in varying}, index=seen.index)


def _merge_few(values: pd.Series, treated: Bools) -> pd.Series:
    """Put together the levels that few rows of either side have; if these are few together too, they join the commonest level."""
    code, levels = pd.factorize(values, sort=True)
    both = np.bincount(code, minlength=len(levels))
    inside = np.bincount(code[treated], minlength=len(levels))
    few = np.minimum(inside, both - inside) < FEW_ROWS
    together = inside[few].sum(), (both - inside)[few].sum()
    rest = levels[int(np.where(few, 0, both).argmax())] if min(together) < FEW_ROWS and not few.all() else OTHER
    return values.mask(few[code], rest)


def left_out(covariates: Collection[str], names: Sequence[str] | None, delivered: Collection[str]) -> pd.DataFrame:
    """Say which covariates a cohort does without, and why.

    Parameters
    ----------
    covariates : collection of str
        Those the cohort has.
    names : sequence of str or None
        Those that were asked for, as in `find_covariates`.
    delivered : collection of str
        Tables.

    Returns
    -------
    DataFrame
        covariate, table, reason: "not_delivered" (the table) or "same_for_all" (of a side).
    """
    asked = [covariate for covariate in COVARIATES.values() if (covariate.usual if names is None else covariate.name in names)]
    rows = [
        (covariate.name, covariate.table, "same_for_all" if covariate.table in delivered else "not_delivered")
        for covariate in asked
        if covariate.name not in covariates
    ]
    return pd.DataFrame(rows, columns=["covariate", "table", "reason"])


def covariate_field(name: str, titles: tuple[str, str], levels: Mapping[str, tuple[str, str]]) -> Field:
    """Describe a column of the cohort: its titles and its levels, Swedish and English; a column without levels holds numbers."""
    categories = [{"value": level, "label": swedish, "label@en": english} for level, (swedish, english) in levels.items()]
    kind = "string" if levels else "number"
    return Field.from_json({"name": name, "type": kind, "title": titles[0], "title@en": titles[1], "categories": categories})
