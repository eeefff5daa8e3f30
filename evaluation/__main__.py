"""Run the command line with `python -m evaluation`."""

from evaluation.cli import app

app()
