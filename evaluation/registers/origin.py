"""What is meant by a background outside Europe?

No agency has a code for it, and it can mean three things that sort people differently. Each is computed from the same columns of `individ`, and a
table or figure must say which it uses.

- `fodd_utanfor_europa`: born outside Europe. Turkey counts as Asia, all of the former Soviet Union as Europe, as in the regions of birth.
- `fodd_utanfor_eu_efta`: born outside the EU and the Nordic countries, near to what Statistics Sweden's integration statistics use. Bosnia and
  Ukraine are then outside. Switzerland and Liechtenstein too, though they are in EFTA: the regions of birth do not tell them apart.
- `bakgrund_utanfor_europa`: born outside Europe, or born in Sweden with two parents born abroad of whom the mother (the father where her region is
  not known) was born outside Europe.

References
----------
Statistics Sweden, MIS 2002:3 (foreign and Swedish background); LISA documentation, variables FodGrEg4 and UtlSvBakg.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from evaluation.registers.contract import CodeList

DEFINITIONS = ("fodd_utanfor_europa", "fodd_utanfor_eu_efta", "bakgrund_utanfor_europa")
YES, NO, UNKNOWN = "ja", "nej", "okand"
OUTSIDE_EUROPE, OTHER_EUROPE, NOT_KNOWN = "utanfor_europa", "ovriga_europa", "okant"
BORN_HERE_PARENTS_ABROAD = "12"


def classify_origin(persons: pd.DataFrame, regions: CodeList) -> pd.DataFrame:
    """Say of each person whether they are from outside Europe, by each of the three definitions.

    Parameters
    ----------
    persons : DataFrame, n rows
        Columns fodelselandgrupp and utlsvbakg, and for the third definition mor_fodelselandgrupp and far_fodelselandgrupp.
    regions : CodeList
        The list fodelselandgrupp, whose classes group the regions.

    Returns
    -------
    DataFrame, n rows with the index of `persons`
        One column per definition, each "ja", "nej" or "okand". The third is absent where the parents' regions were not delivered.
    """
    classes = regions.entries.set_index("kod")["klass"]
    known = classes[classes != NOT_KNOWN]

    def region(column: str) -> pd.Series:
        return persons[column].map(known).astype("object")

    born = region("fodelselandgrupp")
    outside = born.eq(OUTSIDE_EUROPE)
    columns = {
        "fodd_utanfor_europa": _answer(outside, born.notna()),
        "fodd_utanfor_eu_efta": _answer(outside | born.eq(OTHER_EUROPE), born.notna()),
    }
    if {"mor_fodelselandgrupp", "far_fodelselandgrupp"} <= set(persons.columns):
        mother = region("mor_fodelselandgrupp")
        parents = mother.where(mother.notna(), region("far_fodelselandgrupp"))
        second = persons["utlsvbakg"].eq(BORN_HERE_PARENTS_ABROAD)
        columns["bakgrund_utanfor_europa"] = _answer(outside | (second & parents.eq(OUTSIDE_EUROPE)), born.notna() & (~second | parents.notna()))
    return pd.DataFrame(columns, index=persons.index)


def _answer(yes: pd.Series, known: pd.Series) -> pd.Series:
    return pd.Series(np.select([~known, yes], [UNKNOWN, YES], NO), index=yes.index, dtype="object")
