"""How does a result show itself? It asks at the far end of the road, where readers are written for.

A notebook asks a result for HTML, and everything else for text. Results stand before the room that knows how they look (`reporting/display.py`), and
must not depend on it; so that room is looked up by name here, when something is shown and never before.
"""

from __future__ import annotations

from importlib import import_module

_DISPLAY = "evaluation.reporting.display"


def html_of(result: object) -> str:
    """Give what a result shows of itself in a notebook, behind the gate that `release_only` has set."""
    return str(import_module(_DISPLAY).show(result)._repr_html_())


def text_of(result: object) -> str:
    """Give what a result shows of itself on a terminal, behind the same gate; never a person's id."""
    return str(import_module(_DISPLAY).show(result))
