r"""What do the answers spread like when the whole chain is done again: who is there, how likely they were to start, whom they are compared with?

People are drawn with replacement, in a stack of trials with all their rows. In each draw the participation model is fitted anew, the comparison is
made anew, and the effects are computed anew; whoever is drawn twice is two people with the same data. So the spread holds what the influence
functions take as given for a match: that the scores were estimated, and that other people would have been matched otherwise.

What is known of it. For weights it is valid: they are smooth functions of the data. For nearest neighbours *with replacement* and a fixed number of
controls it is invalid, even in large samples and with one covariate (Abadie & Imbens 2008), and refused. For matching *without* replacement nothing
is proved of it: what Abadie & Spiess (2022) prove, of matching on the covariates themselves, is that standard errors clustered by matched set, and
resampling of the matched sets as they are (`pair_bootstrap`), are valid there; and in simulations resampling of sets came nearer to the true spread
than the whole chain did (Austin & Small 2014). So it is allowed there as a check, and its notes say so.

References
----------
Abadie & Imbens (2008). On the failure of the bootstrap for matching estimators. Econometrica 76(6), 1537-1557.
Abadie & Spiess (2022). Robust post-matching inference. JASA 117(538), 983-995.
Austin & Small (2014). The use of bootstrapping when using propensity-score matching without replacement. Statistics in Medicine 33, 4306-4319.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits

from evaluation.analysis.bootstrap import Bootstrap, compared_for_resampling, notes_on_missing, require_several
from evaluation.analysis.curves import EffectSpec
from evaluation.analysis.effects import estimate_effects
from evaluation.analysis.outcomes import FollowUp
from evaluation.analysis.redrawn import Redrawing
from evaluation.analysis.replicates import Measure, Reweighed, differences
from evaluation.design.cohort import Cohort, Floats
from evaluation.design.comparison import comparison_of
from evaluation.design.designs import AnyDesign, make_comparison
from evaluation.design.matching import MatchingSpec
from evaluation.design.optimal import OptimalSpec
from evaluation.design.propensity import PropensitySpec, estimate_propensity
from evaluation.design.weighting import WeightingSpec
from evaluation.errors import EstimationError, UnmatchedWarning

_UNPROVED = (
    "nothing is proved of a bootstrap that matches anew without replacement; what is proved there is to count or resample the matched sets as they "
    "are (Abadie & Spiess 2022, where people are matched on the covariates themselves): the intervals of estimate_effects, and pair_bootstrap where "
    "nobody is in two sets"
)
_OTHER_SETS = "the sets are made anew in every replicate, of which no proof is known: a check beside the intervals of estimate_effects"
_AT_ONCE = 10  # replicates a worker takes at a time: enough for the cohort's way there to cost little, few enough to show progress

Progress = Callable[[int, int], None]
_Task = tuple[Redrawing, Reweighed, list[np.random.SeedSequence]]
_Found = tuple[dict[Measure, Floats], Counter[str]]


def chain_bootstrap(
    cohort: Cohort,
    follow_up: FollowUp,
    design: AnyDesign | None = None,
    spec: EffectSpec | None = None,
    *,
    propensity: PropensitySpec | None = None,
    replicates: int = 200,
    seed: int,
    n_jobs: int | None = None,
    progress: Progress | None = None,
) -> Bootstrap:
    r"""Draw people again, fit the participation model, make the comparison and compute every effect anew.

    Parameters
    ----------
    cohort : Cohort, n rows
    follow_up : FollowUp
        Of everybody in the cohort, since anybody may be compared; without weights that change with time.
    design : MatchingSpec, OptimalSpec, FullSpec, CoarsenedSpec, SubclassSpec, CardinalitySpec or WeightingSpec, optional
        How the comparison is made; by default nearest-neighbour matching.
    spec : EffectSpec, optional
    propensity : PropensitySpec, optional
    replicates : int
    seed : int
        Replicate b draws from the b-th stream spawned by it, so that no backend, number of workers or order of work moves a number.
    n_jobs : int, optional
        As joblib has it; None: what `joblib.parallel_config` says, else one.
    progress : callable, optional
        Called with how many replicates are done and how many there are.

    Returns
    -------
    Bootstrap
        `estimates` and `effects` are those of the comparison made of the cohort itself. A replicate in which no model or comparison can be made is
        NaN, and `notes` count why. The interval is that of the percentiles.

    Raises
    ------
    InputError
        If there are fewer than two replicates, or somebody of the cohort has no follow-up.
    EstimationError
        If controls are matched with replacement, if the weights of the follow-up change with time, or no replicate has an effect.
    DesignError, HorizonError
        As the rooms it goes through, for the cohort itself.

    Notes
    -----
    Person p is drawn :math:`c_p` times, multinomial, treated and controls together. In Efron's ties each copy leaves by itself. People taken out by
    a support rule before the cohort was made stay out.
    """
    require_several(replicates)
    design, spec, propensity = design or MatchingSpec(), spec or EffectSpec(), propensity or PropensitySpec()
    _refuse_replacement(design)
    with threadpool_limits(limits=1):  # as in the workers: sums split over threads end in other bits
        comparison = make_comparison(cohort, estimate_propensity(cohort, propensity), design)
        effects = estimate_effects(cohort, comparison, follow_up, spec)
        rows = np.arange(len(cohort), dtype=np.intp)
        everybody = comparison_of(cohort, rows, rows, given=np.ones(len(cohort)))
        again = Reweighed(compared_for_resampling(cohort, everybody, follow_up), rows, effects)
        redrawing = Redrawing.of(cohort.take(everybody.rows), propensity, design)
        streams = np.random.SeedSequence(seed).spawn(replicates)
        tasks = [(redrawing, again, streams[begin : begin + _AT_ONCE]) for begin in range(0, replicates, _AT_ONCE)]
        parts = _computed(tasks, n_jobs, progress)
    estimates = differences(effects)
    values = {measure: np.concatenate([found[measure] for found, _ in parts]) for measure in estimates}
    failures = sum((failed for _, failed in parts), Counter[str]())
    if all(np.isnan(found).all() for found in values.values()):
        raise EstimationError(
            f"chain bootstrap: none of {replicates} replicates has an effect ({_listed(failures)}); ask for a simpler model or design"
        )
    notes = notes_on_missing(values)
    notes += [f"of {replicates} replicates some could not be compared: {_listed(failures)}"] if failures else []
    if not isinstance(design, WeightingSpec):
        notes.append(_UNPROVED if isinstance(design, MatchingSpec | OptimalSpec) else _OTHER_SETS)
    return Bootstrap(values, estimates, effects, "chain", redrawing.persons, seed, tuple(notes))


def _refuse_replacement(design: AnyDesign) -> None:
    if isinstance(design, MatchingSpec) and design.replace:
        raise EstimationError(
            "chain bootstrap: controls are matched with replacement, and the naive bootstrap of such a match is not valid even in large samples "
            "(Abadie & Imbens 2008); the intervals of estimate_effects count sets and persons; match without replacement, or weight"
        )


def _listed(failures: Counter[str]) -> str:
    return "; ".join(f"{reason}: {count}" for reason, count in sorted(failures.items())) or "they do not reach the horizons"


def _computed(tasks: list[_Task], n_jobs: int | None, progress: Progress | None) -> list[_Found]:
    """Have every task computed, wherever joblib's backend does it."""
    calls = (delayed(_compute)(*task) for task in tasks)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnmatchedWarning)  # around the threads too: each of them changes what all of them warn of
        if progress is None:
            return list(Parallel(n_jobs=n_jobs)(calls))
        found, done, total = list[_Found](), 0, sum(len(streams) for _, _, streams in tasks)
        for one, (_, _, streams) in zip(Parallel(n_jobs=n_jobs, return_as="generator")(calls), tasks, strict=True):
            found.append(one)
            done += len(streams)
            progress(done, total)
        return found


def _compute(redrawing: Redrawing, again: Reweighed, streams: Sequence[np.random.SeedSequence]) -> _Found:
    """Compute some replicates, and count why others could not be made."""
    with warnings.catch_warnings(), threadpool_limits(limits=1):
        warnings.simplefilter("ignore", UnmatchedWarning)
        made = [redrawing.weighed_anew(stream) for stream in streams]
        pairs = {place: one for place, one in enumerate(made) if not isinstance(one, str)}
        weights, times = (np.array([pair[side] for pair in pairs.values()]).reshape(len(pairs), again.units) for side in (0, 1))
        found = again.estimates(weights, times)
    whole = {measure: np.full(len(streams), np.nan) for measure in found}
    for measure, values in found.items():
        whole[measure][list(pairs)] = values
    return whole, Counter(one for one in made if isinstance(one, str))
