"""Does the whole road find the truth, and do the usual designs miss it?

Run by `make verify`, which rewrites docs/validation.md, and with `--quick` by `make verify-quick`, which fails if a row misses its bound. Every
figure is from synthetic people through the public functions an evaluator calls: registers (register_worlds.py), tables (flat_worlds.py) and stacks
of trials (stack_worlds.py). What many worlds say together is arithmetic (answers.py), and is told in validation_page.py."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import multiprocessing
import os
import sys
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from typing import NamedTuple

import flat_worlds
import pandas as pd
import register_worlds
import stack_worlds
from answers import BEYOND, Failure, Rate, gathered, rates
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from validation_page import PAGE, SHORT_CUTS, UNSEEN, flat_sections, outside, told_missed, told_registers, told_traps

from evaluation.errors import UnmatchedWarning
from evaluation.verification.answers import Answer, summarise
from evaluation.verification.worlds import TRUE

SECONDS = {"trap": 19.0, "register": 4.7, "stack": 0.26, "flat": 0.06}  # a replicate takes about so long: for the bar and the order of the jobs
METHODS_FACTOR = 4  # the world in which every method is tried takes so many times as long
SEEDS_A_JOB = 20  # of the quick worlds
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
BEYOND_QUICK = 4.0  # Monte Carlo errors: few runs, many rows, and a failure must mean something
CHANCE = (
    "Chance: four of twelve worlds. In forty more of the same proportions (1,000 and 3,700 people, seeds from 1001) the interval held the truth in "
    "39, and the mean standard error was 1.20 times the spread."
)
REASONS = {"sorted by what no column shows": UNSEEN, "picked by what no register shows": UNSEEN, "no sorting, risk sets, E1": CHANCE}
MINUTES, OTHERS = "<minutes>", "<other sections>"  # places on the page that are filled last
HOOKS = {
    "Comparison of four standard errors": ("standard_errors", "standard_errors_section"),
    "The same numbers from other software": ("software", "software_section"),
}

Found = list[Answer | Rate | Failure]


class Job(NamedTuple):
    """Some replicates of one world."""

    kind: str
    world: str
    seeds: range
    size: tuple[int, int] = (0, 0)

    @property
    def seconds(self) -> float:
        """How long it takes, about."""
        many = self.kind == "flat" and len(flat_worlds.HEADLINE.get(self.world, ())) > 1
        return SECONDS[self.kind] * len(self.seeds) * (METHODS_FACTOR if many else 1)


def run(job: Job) -> Found:
    """Run some replicates; one that fails is told, and stops no other."""
    found: Found = []
    for seed in job.seeds:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UnmatchedWarning)
                found += replicate(job, seed)
        except Exception as error:  # the others have taken an hour: whatever it is, it is told on the page
            found.append(Failure(job.world, seed, type(error).__name__))
    return found


def replicate(job: Job, seed: int) -> list[Answer | Rate]:
    """Go the whole road once."""
    match job.kind:
        case "trap":
            world = next(world for world in register_worlds.TRAPS if world.name == job.world)
            return list(register_worlds.trap(world, seed, *job.size))
        case "register":
            return list(register_worlds.replicate(seed, *job.size))
        case "stack":
            return list(stack_worlds.replicate(job.world, stack_worlds.WORLDS[job.world], seed))
    return list(flat_worlds.replicate(flat_worlds.WORLDS[job.world], seed))


def planned(given: argparse.Namespace) -> list[Job]:
    """List the jobs, the longest first."""
    jobs = [
        Job("trap", world.name, range(seed, seed + 1), tuple(given.trap_size)) for world in register_worlds.TRAPS for seed in seeds(given.trap_worlds)
    ]
    jobs += [Job("register", TRUE.name, range(seed, seed + 1), tuple(given.size)) for seed in seeds(given.register_worlds)]
    for kind, worlds in (("stack", stack_worlds.WORLDS), ("flat", flat_worlds.WORLDS)):
        for first in range(1, given.replicates + 1, SEEDS_A_JOB):
            jobs += [Job(kind, world, range(first, min(first + SEEDS_A_JOB, given.replicates + 1))) for world in worlds]
    return jobs


def seeds(count: int) -> range:
    """Number the replicates from 1."""
    return range(1, count + 1)


def gather(jobs: list[Job], workers: int) -> list[Found]:
    """Run the jobs side by side, each process on one thread, and give what they found in the jobs' order."""
    os.environ.update(dict.fromkeys(ONE_THREAD, "1"))  # the new processes read it before numpy does
    found: dict[int, Found] = {}
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        waiting = {pool.submit(run, job): number for number, job in enumerate(jobs)}
        for future in watched(waiting, jobs):
            found[waiting[future]] = future.result()
    return [found[number] for number in range(len(jobs))]


def watched(waiting: dict[Future[Found], int], jobs: list[Job]) -> Iterator[Future[Found]]:
    """Pass on what is finished and say how far it is: a bar with the time left on a terminal, a line for each tenth elsewhere."""
    console, total, done, begun, said = Console(stderr=True), sum(job.seconds for job in jobs), 0.0, time.perf_counter(), 0
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn(), console=console, disable=not console.is_terminal
    )
    with bar:
        task = bar.add_task("worlds", total=total)
        for future in as_completed(waiting):
            seconds = jobs[waiting[future]].seconds
            done += seconds
            bar.advance(task, seconds)
            if not console.is_terminal and int(10 * done / total) > said:
                said, spent = int(10 * done / total), time.perf_counter() - begun
                console.print(f"{100 * done / total:.0f} % after {spent / 60:.1f} min, about {spent * (total / done - 1) / 60:.1f} min left")
            yield future


def hooked(heading: str) -> str:
    """Give a section another room generates, or say why it is not there; the worlds have taken long, so no error of it may lose them."""
    module, function = HOOKS[heading]
    if importlib.util.find_spec(module) is None:
        return f"\n## {heading}\n\nNot generated: {module}.py is not there.\n"
    try:
        section = str(getattr(importlib.import_module(module), function)()).strip()
    except Exception as error:
        return f"\n## {heading}\n\nNot generated: {module}.py ended in {type(error).__name__}.\n"
    return f"\n{section}\n" if section.startswith("## ") else f"\n## {heading}\n\n{section}\n"


def told_size(numbers: tuple[int, int]) -> str:
    """Write how large a register world is."""
    return f"{numbers[0]:,} participants and {numbers[1]:,} others each"


def page_of(tables: dict[str, pd.DataFrame], missed: list[tuple[str, str, str]], failures: list[Failure], given: argparse.Namespace) -> str:
    """Put the page together, without what is known last: the minutes, and the sections of other rooms."""
    failed = pd.Series([f"{one.world}: {one.error}" for one in failures], dtype=object).value_counts()
    return PAGE.format(
        minutes=MINUTES,
        workers=given.workers,
        beyond=BEYOND,
        people=flat_worlds.FlatWorld("").people,
        python=python_version(),
        **{name: version(name) for name in ("numpy", "scipy", "pandas", "duckdb")},
        traps=told_traps(tables["trap"], told_size(given.trap_size)),
        registers=told_registers(tables["register"], told_size(given.size)),
        **flat_sections(pd.concat([tables["flat"], tables["stack"]], ignore_index=True), tables["rates"]),
        cut_list="\n".join(f"- {name}: {meaning}" for name, meaning in SHORT_CUTS.items() if "1:2" not in name),
        missed=told_missed(missed),
        failures="".join(f"\nReplicates that ended in an error: {count} ({what}).\n" for what, count in failed.items()),
        others=OTHERS,
    )


def write(page: str, to: Path | None, minutes: float, others: str) -> None:
    """Fill in what is known last, and write the page or show it."""
    text = page.replace(MINUTES, f"{minutes:.0f}").replace(OTHERS, others).rstrip() + "\n"
    if to:
        to.write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)


def asked() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", type=Path, help="page to write; left out: it is shown")
    parser.add_argument("--worlds-only", action="store_true", help="leave out the sections about standard errors and other software")
    parser.add_argument("--keep", type=Path, help="CSV to write every answer of every replicate to")
    parser.add_argument("--quick", action="store_true", help="few worlds of each kind, no page: only whether a row misses its bound")
    parser.add_argument("--replicates", type=int, help="of each flat world and stack")
    parser.add_argument("--register-worlds", type=int, help="with an effect")
    parser.add_argument("--trap-worlds", type=int, help="of each kind")
    parser.add_argument("--size", type=int, nargs=2, default=(600, 6_000), metavar=("PARTICIPANTS", "POOL"))
    parser.add_argument("--trap-size", type=int, nargs=2, default=None, metavar=("PARTICIPANTS", "POOL"))
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    usual = (60, 16, 2, (600, 6_000)) if given.quick else (1_000, 1_000, 12, (3_000, 11_000))
    for name, value in zip(("replicates", "register_worlds", "trap_worlds", "trap_size"), usual, strict=True):
        if getattr(given, name) is None:
            setattr(given, name, value)
    return given


def main() -> int:
    """Run the worlds, write the page, and say which rows miss their bounds; 1 if one does without a reason."""
    given, begun = asked(), time.perf_counter()
    jobs = planned(given)
    results = gather(jobs, given.workers)
    tables, found = {}, []
    if given.keep:
        gathered(one for part in results for one in part)[0].to_csv(given.keep, index=False)
    for kind in SECONDS:
        answers, happened = gathered(one for job, part in zip(jobs, results, strict=True) if job.kind == kind for one in part)
        tables[kind] = summarise(answers)
        found.append(happened)
    tables["rates"] = rates(pd.concat(found, ignore_index=True))
    failures = [one for part in results for one in part if isinstance(one, Failure)]
    ours = pd.concat([tables[kind] for kind in SECONDS], ignore_index=True)
    missed = outside(ours, tables["rates"], REASONS, BEYOND_QUICK if given.quick else BEYOND)
    unexplained = [f"{label}: {fault}" for label, fault, why in missed if not why] + [
        f"{one.world}, seed {one.seed}: {one.error}" for one in failures
    ]
    sys.stderr.write(f"{len(ours)} rows in {minutes_since(begun):.1f} minutes; outside their bounds without a written reason: {len(unexplained)}\n")
    sys.stderr.writelines(f"  {line}\n" for line in unexplained)
    if not given.quick:
        page = page_of(tables, missed, failures, given)
        if given.write:  # the other sections take minutes: what has been found is safe by then
            write(page, given.write, minutes_since(begun), "")
        others = "" if given.worlds_only else "".join(hooked(heading) for heading in HOOKS)
        write(page, given.write, minutes_since(begun), others)
    return 1 if unexplained else 0


def minutes_since(begun: float) -> float:
    """Give the minutes since a reading of the performance counter."""
    return (time.perf_counter() - begun) / 60


if __name__ == "__main__":
    sys.exit(main())
