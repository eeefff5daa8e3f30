"""How does a run take the place of the older one? All of it or nothing.

A run is written in a folder beside the older one and then put in its place by renaming alone, which cannot stop within a file. What fails on the way
is undone at once; what a killed process leaves undone, the next run undoes before it begins.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

NEW, OLDER, DONE = ".new-run-", ".older-run-", ".done-run-"


@dataclass(frozen=True)
class Output:
    """A file of the run, before it is written.

    Attributes
    ----------
    name : str
        Within its folder, such as "report.sv.html".
    label : str
        What it shows, of whom, in a sentence.
    content : bytes
    """

    name: str
    label: str
    content: bytes


@contextmanager
def beside(place: Path, names: Sequence[str]) -> Iterator[Path]:
    """Give a folder to write a run in, and leave nothing of it.

    Parameters
    ----------
    place : Path
        Where the older run stands; made if absent.
    names : sequence of str
        The files and folders that are exchanged. An exchange of them that was killed is undone first.

    Yields
    ------
    Path
        Within `place`, so that renaming moves nothing from disk to disk.
    """
    place.mkdir(parents=True, exist_ok=True)
    for left in sorted(place.glob(f"{OLDER}*")):
        _bring_back(names, left, place)
    for left in (*place.glob(f"{NEW}*"), *place.glob(f"{DONE}*")):
        shutil.rmtree(left, ignore_errors=True)
    new = Path(tempfile.mkdtemp(prefix=NEW, dir=place))
    try:
        yield new
    finally:
        shutil.rmtree(new, ignore_errors=True)


def write_output(folder: Path, output: Output) -> None:
    """Write a file, with the folders its name says.

    Parameters
    ----------
    folder : Path
        One that `beside` gave.
    output : Output
    """
    file = folder / output.name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(output.content)


def exchange(new: Path, place: Path, names: Sequence[str]) -> None:
    """Put a run in the place of the older one.

    Parameters
    ----------
    new : Path
        The folder that `beside` gave, with everything written.
    place : Path
    names : sequence of str
        The files and folders that are exchanged; whatever else stands in `place` stays.

    Notes
    -----
    If something cannot be moved, what was moved is moved back before the error goes on.
    """
    older = place / f"{OLDER}{new.name.removeprefix(NEW)}"
    arriving = [name for name in names if (new / name).exists()]
    try:
        _move(names, place, older)
        _move(names, new, place)
        finished = older.rename(older.with_name(older.name.replace(OLDER, DONE)))  # from here on there is nothing to undo
    except BaseException:
        for name in arriving:
            if not (new / name).exists():
                _remove(place / name)
        _bring_back(names, older, place)
        raise
    shutil.rmtree(finished, ignore_errors=True)


def _move(names: Sequence[str], here: Path, there: Path) -> None:
    there.mkdir(exist_ok=True)
    for name in names:
        if (here / name).exists():
            (there / name).parent.mkdir(parents=True, exist_ok=True)
            (here / name).rename(there / name)


def _bring_back(names: Sequence[str], older: Path, place: Path) -> None:
    """Undo an exchange: what has gone of the older run comes back, in the place of what has come of the new one."""
    for name in names:
        if (older / name).exists():
            _remove(place / name)
            (older / name).rename(place / name)
    shutil.rmtree(older, ignore_errors=True)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
