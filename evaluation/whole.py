"""How is a file written whole, or not at all? Beside its place first, and then renamed into it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def write_whole(file: Path, content: bytes) -> Path:
    """Write a file whole or not at all: an older one is replaced only once the new one is whole.

    Parameters
    ----------
    file : Path
        Its folder is made if absent.
    content : bytes

    Returns
    -------
    Path
        The file.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, beside = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        Path(beside).chmod(0o644)
        Path(beside).replace(file)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise
    return file
