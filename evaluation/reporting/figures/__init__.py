"""What the steering group sees: flow, overlap, balance, curves and effects, for a phone, a projector and black-and-white paper.

One room per figure; `page` is the paper they are drawn on and `svg` the way they come into the report. All words come from the caller.
"""

from matplotlib.figure import Figure

from evaluation.reporting.figures.curves import draw_curves, draw_states, shown_until
from evaluation.reporting.figures.designs import DesignRow, LimitRow, draw_designs, draw_limits
from evaluation.reporting.figures.distributions import draw_bars, draw_density
from evaluation.reporting.figures.flow import FlowStep, draw_flow
from evaluation.reporting.figures.forest import ForestRow, draw_forest
from evaluation.reporting.figures.goals import Fan, GoalTexts, draw_goal
from evaluation.reporting.figures.love import draw_love, draw_love_panels
from evaluation.reporting.figures.overlap import draw_overlap, draw_preference
from evaluation.reporting.figures.page import Words
from evaluation.reporting.figures.points import draw_points
from evaluation.reporting.figures.sensitivity import ProbeRow, draw_sensitivity, draw_tipping
from evaluation.reporting.figures.shares import draw_shares
from evaluation.reporting.figures.svg import svg_text

__all__ = [
    "DesignRow",
    "Fan",
    "Figure",
    "FlowStep",
    "ForestRow",
    "GoalTexts",
    "LimitRow",
    "ProbeRow",
    "Words",
    "draw_bars",
    "draw_curves",
    "draw_density",
    "draw_designs",
    "draw_flow",
    "draw_forest",
    "draw_goal",
    "draw_limits",
    "draw_love",
    "draw_love_panels",
    "draw_overlap",
    "draw_points",
    "draw_preference",
    "draw_sensitivity",
    "draw_shares",
    "draw_states",
    "draw_tipping",
    "shown_until",
    "svg_text",
]
