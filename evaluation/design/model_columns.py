"""Which columns does a model take from the covariates: as they are, or as a formula bends and crosses them?"""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from evaluation.design.cohort import Cohort, Floats
from evaluation.design.logistic import SPLINE
from evaluation.errors import InputError, Problem


def covariate_columns(covariates: pd.DataFrame) -> tuple[list[str], Floats]:
    """Give the terms of a model with every covariate as it is, and, shape (terms, n), their values; a level nobody has is no term.

    Parameters
    ----------
    covariates : DataFrame, shape (n, p)
        Numbers and categories, as in `Cohort`. The first level present of a category is the one the others are held against.

    Returns
    -------
    terms : list of str
        Such as "age" and "race[T.white]".
    values : ndarray of float, shape (terms, n)
    """
    terms, values = _covariate_values(covariates)
    return terms, np.stack(values) if values else np.empty((0, len(covariates)))


def model_columns(cohort: Cohort, formula: str | None) -> tuple[list[str], Floats]:
    """Give the terms and, shape (1 + terms, n), the intercept and their values: one contiguous row per term.

    Raises
    ------
    InputError
        If the formula cannot be read, or a term is not finite.
    """
    if formula is not None:
        return _formula_columns(cohort, formula)
    terms, values = _covariate_values(cohort.covariates)
    return terms, np.stack([np.ones(len(cohort)), *values])


def _covariate_values(covariates: pd.DataFrame) -> tuple[list[str], list[Floats]]:
    terms: list[str] = []
    values: list[Floats] = []
    for name, column in covariates.items():
        if isinstance(column.dtype, pd.CategoricalDtype):
            codes = column.cat.codes.to_numpy()
            present = np.unique(codes)
            terms += [f"{name}[T.{column.cat.categories[code]}]" for code in present[1:]]
            values += [(codes == code).astype(np.float64) for code in present[1:]]
        else:
            terms.append(str(name))
            values.append(column.to_numpy())
    return terms, values


def _formula_columns(cohort: Cohort, formula: str) -> tuple[list[str], Floats]:
    import formulaic  # heavy, and only where a plan gives a formula

    people = cohort.covariates.take(cohort.order)  # polynomials are made orthogonal by sums over people
    try:
        matrix = formulaic.model_matrix(f"1 + {formula}", people, context={}, na_action="ignore")
        terms = [str(term) for term in matrix.columns if term != "Intercept"]
        columns = np.ones((1 + len(terms), len(cohort)))
        columns[1:, cohort.order] = matrix[terms].to_numpy(dtype=np.float64).T
    except Exception as error:  # a formula is a small program: anything may go wrong in it, and the library's own message may quote data
        raise InputError([_formula_problem(_what_is_wrong(error), cohort)], "the participation model cannot be built") from None
    if not terms:
        raise InputError([_formula_problem("has no terms", cohort)], "the participation model cannot be built")
    wild = ~np.isfinite(columns[1:])
    problems = Problem.broken((term, "must be finite", broken, "change the term") for term, broken in zip(terms, wild, strict=True))
    if problems:
        raise InputError(problems, "the participation model cannot be built")
    return terms, columns


def _what_is_wrong(error: Exception) -> str:
    """Say which term of the formula cannot be computed, without the library's own words."""
    factor = re.search(r"factor `(.*?)`\.", str(error), re.DOTALL)
    if factor is None:
        return f"cannot be read ({type(error).__name__})"
    if isinstance(error.__cause__, NameError):
        return f"has a name in {factor[1]} that is no covariate"
    if SPLINE.match(factor[1]):
        return f"cannot compute {factor[1]}; a spline bends a number, and needs knots or a df of 3 or more"
    return f"cannot compute {factor[1]} ({type(error.__cause__ or error).__name__})"


def _formula_problem(rule: str, cohort: Cohort) -> Problem:
    known = ", ".join(map(str, cohort.covariates.columns))
    return Problem("propensity formula", rule, f"write it like 'age + I(age**2) + sex:race' with the covariates {known}")
