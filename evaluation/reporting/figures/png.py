"""How does a figure leave for a slide? As PNG, the same bytes each time, sharp on paper and saying nothing of who drew it or when."""

from __future__ import annotations

import io

from matplotlib import rc_context
from matplotlib.figure import Figure

from evaluation.reporting.figures.page import STYLE

DOTS_PER_INCH = 200  # a figure of 5.2 inches is then as wide as half a projector's picture


def png_bytes(figure: Figure) -> bytes:
    """Give the figure as PNG.

    Parameters
    ----------
    figure : Figure

    Returns
    -------
    bytes
        200 dots per inch on white; the same figure gives the same bytes on the same machine.
    """
    written = io.BytesIO()
    with rc_context(STYLE):
        figure.savefig(written, format="png", dpi=DOTS_PER_INCH, facecolor="white", metadata={"Software": None})
    return written.getvalue()
