"""How close are the synthetic registers to what is publicly known?

Only shares are compared: the public facts are totals of a project nobody has published individual records of. What is not known publicly (the mix of
origins among participants, for instance) has no published value here and is a choice of the simulation.
"""

from __future__ import annotations

import pandas as pd

from evaluation.registers.synthetic.people import OUTSIDE_EUROPE
from evaluation.registers.synthetic.records import UNEMPLOYMENT, Tables
from evaluation.registers.synthetic.truth import NEVER_LEFT, SUCCESSES

END_OF_PHASE_1, NOVEMBER_2022 = pd.Timestamp("2019-12-31"), pd.Timestamp("2022-11-30")
RATE_MONTHS = ("2018-09", "2020-07", "2021-04", "2022-05")


def compare_margins(tables: Tables, potential: pd.DataFrame) -> pd.DataFrame:
    """Set shares in the synthetic registers beside the published ones.

    Parameters
    ----------
    tables : dict of str to DataFrame
    potential : DataFrame
        Of `potential_outcomes`.

    Returns
    -------
    DataFrame
        fact, low, high (the published interval; equal where one figure was published, missing where none was), synthetic, source.
    """
    started = tables["projekt_deltagande"].dropna(subset="start_datum")
    persons = started.merge(tables["individ"], on="lopnr")
    assisted = started.assign(month=pd.to_datetime(started["start_datum"]).dt.strftime("%Y-%m")).merge(
        tables["ek_bistand"][["lopnr", "manad"]], left_on=["lopnr", "month"], right_on=["lopnr", "manad"]
    )
    factual = potential[potential["world"] == "factual"]
    out = factual["exit"].isin(SUCCESSES) & (factual["days"] < NEVER_LEFT)
    exit_day = pd.to_datetime(factual["start"]) + pd.to_timedelta(factual["days"].clip(upper=20_000), unit="D")
    rate = tables["arbetslosa_manad"].set_index("manad")["arbetsloshet_procent"]

    def reached(phase: str, until: pd.Timestamp) -> float:
        return float((out & (exit_day <= until) & (factual["fas"] == phase)).sum() / (started["fas"] == phase).sum())

    outside = persons["fodelselandgrupp"].isin(OUTSIDE_EUROPE)
    rows = [
        ("participants with social assistance at the start", 0.5, 0.5, assisted["lopnr"].nunique() / len(started), "Finsam Malmö 2018: half of them"),
        ("long-term sick participants", 0.075, 0.075, float((started["malgrupp"] == "sjukpenning").mean()), "Finsam Malmö 2018: 300 of 4,000"),
        (
            "phase 1.0 in work or regular studies by the end of 2019",
            0.215,
            0.246,
            reached("1", END_OF_PHASE_1),
            "Finsam Malmö 2020: 861, of 4,000 or of 3,500",
        ),
        ("phase 2.0 in work or regular studies by November 2022", 0.50, 0.55, reached("2.0", NOVEMBER_2022), "Finsam Malmö 2022: just over half"),
        ("women among participants", None, None, float((persons["kon"] == "2").mean()), "not published"),
        ("participants born abroad", None, None, float((persons["utlsvbakg"] == "11").mean()), "not published"),
        ("participants born outside Europe", None, None, float(outside.mean()), "not published"),
        *(
            (f"unemployment in Malmö {month}", UNEMPLOYMENT[month] / 100, UNEMPLOYMENT[month] / 100, rate[month] / 100, "Arbetsförmedlingen")
            for month in RATE_MONTHS
        ),
    ]
    return pd.DataFrame(rows, columns=["fact", "low", "high", "synthetic", "source"]).astype({"low": float, "high": float})
