"""Was the match made elsewhere? Then it comes in here, in the layout its maker exports, and goes on as if it had been made here.

Known layouts: a table with person and set; MatchIt's `match.data` and `get_matches`; cohortmatch's `pairs` and `match_groups`.

References
----------
Ho, Imai, King & Stuart (2011). MatchIt: nonparametric preprocessing for parametric causal inference. Journal of Statistical Software 42(8).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from evaluation.design.cohort import Cohort, Rows
from evaluation.design.comparison import Comparison, comparison_of, warn_of_unmatched
from evaluation.errors import InputError, Problem

Groups = Mapping[object, Sequence[object]]
_PEOPLE = ("person", "id", "rownames", "Unnamed: 0")  # what layouts call a person; the last is how pandas reads R's row names from a file
_SETS = ("set", "subclass", "match_group")
_PAIR = ["treatment_id", "control_id"]


def comparison_from_sets(cohort: Cohort, sets: pd.DataFrame | pd.Series | Groups, weights: str | None = None) -> Comparison:
    """Take a match that was made elsewhere, for example in R's MatchIt or in cohortmatch, as it was exported.

    Parameters
    ----------
    cohort : Cohort, n people
    sets : DataFrame, shape (k, 2 or more), Series or dict
        One row per membership, with the person in `person`, `id` or `rownames`, or else in the table's index, and the set in `set` or `subclass`
        (MatchIt's `match.data` and `get_matches`); or one row per pair with `treatment_id` and `control_id` (cohortmatch's `pairs`); or a Series
        with each person's set, the person in its index, or each treated person's controls as a dict (cohortmatch's `match_groups`). In a stack a
        table with the column that says the trial. MatchIt's unmatched rows, without a subclass, are left out. A person may be in several sets; a
        set holds at least one treated and one control.
    weights : str, optional
        Column of `sets` with each membership's weight. Without it the treated weigh 1 and the controls of a set share the number of its treated,
        as MatchIt's weights do up to their scale.

    Returns
    -------
    Comparison

    Raises
    ------
    InputError
        With every problem at once: missing column, unknown person, a person twice in one set, a set without treated or without control,
        weights that are missing or not above 0.

    Warns
    -----
    UnmatchedWarning
        If some treated are in no set.
    """
    members = _members(sets)
    key = ["person", *([cohort.trial] if cohort.trial else [])]
    absent = [name for name in [*key, "set", *([weights] if weights else [])] if name not in members.columns]
    if absent or members.empty:
        problems = [_absent(name, members) for name in absent]
        raise InputError(problems or [Problem("the sets", "have no rows", "give one row per person and set")], "the match cannot be used")
    row = _rows_of(cohort, members[key])
    set_of = pd.factorize(members["set"])[0]
    known = (row >= 0) & (set_of >= 0)
    one, other = known & cohort.treated[row], known & ~cohort.treated[row]
    count = int(set_of.max()) + 1
    lonely = (np.bincount(set_of[one], minlength=count) == 0) | (np.bincount(set_of[other], minlength=count) == 0)
    given = pd.to_numeric(members[weights], errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan) if weights else None
    twice = pd.MultiIndex.from_arrays([cohort.person_code[row], set_of]).duplicated()
    rules = [
        ("person", "must be a person of the cohort", row < 0, "compare the ids' type and spelling in the two tables"),
        ("set", "must not be missing", set_of < 0, "leave out people without a set"),
        ("set", "must hold at least one treated and one control", known & np.append(lonely, False)[set_of], "leave out the sets that do not"),
        ("person", "must be in a set once", known & twice, "leave out the repeated rows"),
    ]
    if given is not None:
        rules.append((str(weights), "must be a number above 0", ~((given > 0) & np.isfinite(given)), "leave out people without weight"))
    problems = Problem.broken(rules)
    if problems:
        raise InputError(problems, "the match cannot be used")
    comparison = comparison_of(cohort, row, set_of, given)
    warn_of_unmatched(comparison, cohort)
    return comparison


def _members(sets: pd.DataFrame | pd.Series | Groups) -> pd.DataFrame:
    """Give person and set, one row per membership, whatever the layout; what a layout lacks stays absent."""
    if isinstance(sets, Mapping):
        groups = [(treated, member) for treated, controls in sets.items() for member in (treated, *controls)]
        return pd.DataFrame(groups, columns=["set", "person"])
    if isinstance(sets, pd.Series):
        return pd.DataFrame({"person": sets.index, "set": sets.to_numpy()}).dropna(subset="set")
    if set(_PAIR) <= set(sets.columns):
        group = sets["match_group"] if "match_group" in sets.columns else sets["treatment_id"]
        both = pd.concat([pd.DataFrame({"person": sets[name], "set": group}) for name in _PAIR])
        return both.drop_duplicates(ignore_index=True)  # the one whom several stand beside has a row for each of them
    found: dict[str, str] = {}
    for ours, names in (("person", _PEOPLE), ("set", _SETS)):
        found |= {name: ours for name in names if name in sets.columns and ours not in found.values()}
    members = sets.rename(columns=found)
    if "person" not in members.columns and not isinstance(members.index, pd.RangeIndex):  # mere row numbers would find somebody, but whom?
        members = members.assign(person=members.index)
    unmatched = members["set"].isna() if found.get("subclass") == "set" else pd.Series(False, index=members.index)
    return members[~unmatched].reset_index(drop=True)


def _absent(name: str, members: pd.DataFrame) -> Problem:
    if name == "set" and "weights" in members.columns:  # MatchIt's match.data after matching with replacement
        return Problem("set", "is not a column, only weights are", "export get_matches(), which has a row for every set a person is in")
    return Problem.absent(name, members.columns, "the table of sets")


def _rows_of(cohort: Cohort, key: pd.DataFrame) -> Rows:
    """Find the cohort rows of people, or of people in trials; -1 for who is not there."""
    if cohort.trial is None:
        return np.asarray(cohort.person.get_indexer(pd.Index(key["person"])), dtype=np.intp)
    known = pd.MultiIndex.from_arrays([cohort.person, cohort.column(cohort.trial).astype(str)])
    return np.asarray(known.get_indexer(pd.MultiIndex.from_arrays([key["person"], key[cohort.trial].astype(str)])), dtype=np.intp)
