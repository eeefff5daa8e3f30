"""The report the steering group reads: one self-contained HTML page per language, written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import jinja2

from evaluation.design.designs import Designs
from evaluation.plan import Language
from evaluation.reporting.blocks import Page
from evaluation.reporting.scene import scene_of
from evaluation.reporting.sections import compose_page
from evaluation.study import Design, Study


def write_report(
    study: Study | Design, folder: str | Path, *, language: Language = "sv", linked: bool = False, alternatives: Designs | None = None
) -> Path:
    """Write the report of a study, or of a design whose outcomes are still closed.

    Parameters
    ----------
    study : Study or Design
    folder : str or Path
        Made if absent.
    language : {"sv", "en"}
    linked : bool
        Whether the other language's report will stand beside it, for a link.
    alternatives : Designs, optional
        Other ways of building the comparison, to be set beside it.

    Returns
    -------
    Path
        The written file, `report.<language>.html` or `design.<language>.html`. An older one is replaced only once the new one is whole.
    """
    name = f"{'report' if isinstance(study, Study) else 'design'}.{language}.html"
    return write_page(folder, name, render_report(study, language=language, linked=linked, alternatives=alternatives))


def render_report(study: Study | Design, *, language: Language = "sv", linked: bool = False, alternatives: Designs | None = None) -> str:
    """Give the report as HTML; parameters as `write_report`."""
    scene = scene_of(study.design if isinstance(study, Study) else study, language)
    return render_page("report.html.j2", compose_page(study, scene, linked=linked, alternatives=alternatives))


def render_page(template: str, page: Page) -> str:
    """Set a page on one of the templates, with the style they share."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("evaluation.reporting"), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    style = environment.loader.get_source(environment, "report.css")[0] if environment.loader else ""
    return environment.get_template(template).render(page=page, style=style) + "\n"


def write_page(folder: str | Path, name: str, text: str) -> Path:
    """Write a page whole or not at all: an older one is replaced only once the new one is whole.

    Parameters
    ----------
    folder : str or Path
        Made if absent.
    name : str
    text : str

    Returns
    -------
    Path
        The written file.
    """
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    handle, beside = tempfile.mkstemp(dir=target, prefix=f".{name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        Path(beside).chmod(0o644)
        Path(beside).replace(target / name)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise
    return target / name
