"""What the steering group sees: overlap, balance, curves and effects, for a phone, a projector and black-and-white paper.

One room per figure; `page` is the paper they are drawn on and `svg` the way they come into the report. All words come from the caller.
"""

from matplotlib.figure import Figure

from evaluation.reporting.figures.curves import draw_curves, draw_states, shown_until
from evaluation.reporting.figures.forest import ForestRow, draw_forest
from evaluation.reporting.figures.love import draw_love
from evaluation.reporting.figures.overlap import draw_overlap
from evaluation.reporting.figures.page import Words
from evaluation.reporting.figures.svg import svg_text

__all__ = ["Figure", "ForestRow", "Words", "draw_curves", "draw_forest", "draw_love", "draw_overlap", "draw_states", "shown_until", "svg_text"]
