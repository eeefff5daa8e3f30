"""The whole list, asked side by side and resumable.

Probes do not depend on one another, so joblib runs them wherever it is told to: in this process, in threads, in processes, or on a cluster that the
site plugs in with `joblib.parallel_config`. Each worker opens its own copy of the registers, uses one thread of linear algebra, and so gives the same
numbers to the last bit.
"""

from __future__ import annotations

import hashlib
import pickle
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits

from evaluation.errors import InputError, Problem, UnmatchedWarning
from evaluation.registers.cleaning import CleanRegisters
from evaluation.registers.snapshot import fingerprint, open_snapshot, write_snapshot
from evaluation.sensitivity.baseline import Baseline
from evaluation.sensitivity.finished import keep_finished, read_finished
from evaluation.sensitivity.probes import Probe, fixed_list
from evaluation.sensitivity.rows import Finding, answer
from evaluation.sensitivity.table import BASELINE, Sensitivity, arranged
from evaluation.study import Study

Progress = Callable[[int, int, str], None]
_BASELINE, _REGISTERS = "baseline.pickle", "registers.duckdb"
_opened = threading.local()  # a worker opens its copy once, however many probes it runs


def probe_sensitivity(
    source: pd.DataFrame | CleanRegisters, study: Study, *, folder: Path | None = None, progress: Progress | None = None
) -> Sensitivity:
    """Ask every probe of the fixed list what the study's answer would be otherwise.

    Parameters
    ----------
    source : DataFrame or CleanRegisters
        What the study was made of.
    study : Study
    folder : Path, optional
        Where finished probes are kept, inside the data area: the next run of the same data, plan and code goes on from there. A copy of the
        registers stands there while probes run, and is removed. Left out: nothing is kept, and the copy stands in the system's temporary folder.
    progress : function of (int, int, str), optional
        Told after each probe how many are finished, of how many, and which it was.

    Returns
    -------
    Sensitivity
        A probe that does not apply, or whose table was not delivered, is a line with the reason.

    Raises
    ------
    InputError
        If the study starts at registers and `source` is something else.

    Notes
    -----
    Runs in this process unless joblib is told otherwise: ``with joblib.parallel_config(n_jobs=2): probe_sensitivity(...)``, or
    ``parallel_config(backend="dask")`` with a client of a cluster that shares `folder`. The numbers are the same.
    """
    baseline = _baseline(source, study)
    mark, probes = _mark(baseline), fixed_list(baseline)
    found = {probe.name: read_finished(folder, probe.name, mark) for probe in probes} if folder else dict.fromkeys(probe.name for probe in probes)
    waiting = [probe for probe in probes if found[probe.name] is None]
    for name, finding in _asked(baseline, waiting, folder):
        found[name] = finding
        if folder:
            keep_finished(folder, name, mark, finding)
        if progress:
            progress(sum(kept is not None for kept in found.values()), len(probes), name)
    return _gathered(baseline, {name: finding for name, finding in found.items() if finding is not None})


def finished_sensitivity(source: pd.DataFrame | CleanRegisters, study: Study, folder: Path) -> Sensitivity | None:
    """Give the sensitivity analysis kept in a folder, if every probe of the same data, plan and code is there; otherwise None."""
    if not folder.is_dir():
        return None
    baseline = _baseline(source, study)
    mark, kept = _mark(baseline), dict[str, Finding]()
    for probe in fixed_list(baseline):
        finding = read_finished(folder, probe.name, mark)
        if finding is None:
            return None
        kept[probe.name] = finding
    return _gathered(baseline, kept)


def _gathered(baseline: Baseline, found: dict[str, Finding]) -> Sensitivity:
    """Put what every probe found, in the order of the list, around the study's own answer."""
    own = answer(BASELINE, "", baseline.effects, baseline.horizon_days)
    rows = [row for finding in found.values() for row in finding.rows]
    tables = {(name, key): table for name, finding in found.items() for key, table in finding.tables.items()}
    return Sensitivity(own, arranged(own, rows), tables, baseline.horizon_days)


def _baseline(source: pd.DataFrame | CleanRegisters, study: Study) -> Baseline:
    registers = study.journey is not None
    if registers != isinstance(source, CleanRegisters):
        kind = "registers" if registers else "a table"
        raise InputError([Problem("the source", f"is not {kind}, which this study was made of", "give what the study was made of")])
    return Baseline(study.design, study.follow_up, study.effects.spec.success, source if isinstance(source, CleanRegisters) else None)


def _mark(baseline: Baseline) -> str:
    """Give a checksum of what decides the answers: the code, the plan, the registers, who is compared and what happened to them."""
    digest = hashlib.sha256(baseline.plan.model_dump_json(exclude={"folder"}).encode())
    for module in sorted(Path(__file__).parents[1].rglob("*.py")):
        digest.update(module.read_bytes())
    if baseline.clean is not None:
        digest.update(fingerprint(baseline.clean).encode())
    follow_up, comparison, cohort = baseline.follow_up, baseline.design.comparison, baseline.design.cohort
    for frame in (one for one in (cohort.covariates, cohort.strata) if len(one.columns)):
        digest.update(pd.util.hash_pandas_object(frame, index=False).to_numpy().tobytes())
    for array in (follow_up.days, follow_up.state.codes, comparison.weights, comparison.member_row, comparison.member_set):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _asked(baseline: Baseline, probes: list[Probe], folder: Path | None) -> Iterator[tuple[str, Finding]]:
    """Run probes as they come."""
    if not probes:
        return
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".probing-", dir=folder) as place, _quietly():
        _lay_out(baseline, Path(place))
        try:
            yield from Parallel(return_as="generator_unordered")(delayed(_run)(place, probe) for probe in probes)
        finally:
            _opened.__dict__.clear()


def _lay_out(baseline: Baseline, place: Path) -> None:
    (place / _BASELINE).write_bytes(pickle.dumps(replace(baseline, clean=None)))
    if baseline.clean is not None:
        write_snapshot(baseline.clean, place / _REGISTERS)


def _run(place: str, probe: Probe) -> tuple[str, Finding]:
    """Run one probe in a worker."""
    # filters of warnings are the process's: in a thread beside others, those of who started the threads hold
    alone = threading.current_thread() is threading.main_thread()
    with threadpool_limits(limits=1), _quietly() if alone else nullcontext():
        return probe.name, probe.run(_open(Path(place)))


def _open(place: Path) -> Baseline:
    if getattr(_opened, "place", None) != place:
        baseline: Baseline = pickle.loads((place / _BASELINE).read_bytes())
        registers = place / _REGISTERS
        clean = open_snapshot(registers, threads=1) if registers.exists() else None
        _opened.place, _opened.baseline = place, replace(baseline, clean=clean)
    found: Baseline = _opened.baseline
    return found


@contextmanager
def _quietly() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnmatchedWarning)  # each line says how many are compared
        yield
