"""The report the steering group reads: one self-contained HTML page per language and the same page as PDF, written whole or not at all."""

from __future__ import annotations

import base64
import hashlib
import html
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
import joblib

from evaluation.analysis.outcomes import TimeUnit
from evaluation.claims import find_claims
from evaluation.design.designs import Designs
from evaluation.errors import InputError, PdfError, PdfWarning, Problem
from evaluation.plan_sections import Language
from evaluation.reporting.blocks import Page, columns_of_words
from evaluation.reporting.pdf import render_pdf
from evaluation.reporting.scene import scene_of
from evaluation.reporting.sections import compose_page
from evaluation.reporting.wording import Voice
from evaluation.sensitivity.table import Sensitivity
from evaluation.study import Design, Study
from evaluation.whole import write_whole

LONG_PAGE_CHARACTERS = 500_000  # such a page takes WeasyPrint longer than a second interpreter needs to start
_UNREAD = re.compile(r"<(style|script|svg)\b.*?</\1>|<[^>]*>", re.DOTALL)  # a figure's words stand in the table beside it, or are the plan's


def write_reports(
    study: Study | Design,
    folder: str | Path,
    *,
    languages: Sequence[Language] = ("sv", "en"),
    pdf: bool = True,
    alternatives: Designs | None = None,
    sensitivity: Sensitivity | None = None,
    release: Mapping[str, float] | None = None,
) -> tuple[Path, ...]:
    """Write everything the steering group gets: a page in each language, linked to each other, and each as PDF.

    Parameters
    ----------
    study : Study or Design
    folder : str or Path
        Made if absent.
    languages : sequence of {"sv", "en"}
    pdf : bool
        Whether to write the PDF too.
    alternatives : Designs, optional
        Other ways of building the comparison, to be set beside it.
    sensitivity : Sensitivity, optional
        What would change the conclusion; without it the page says that nobody has looked, and grades nothing.
    release : mapping of str to float, optional
        The site's rules for what leaves, as `Site.release` has them.

    Returns
    -------
    tuple of Path
        The written files: `report.<language>.html` and `report.<language>.pdf` for each language, or `design.` of closed outcomes.

    Warns
    -----
    PdfWarning
        If this machine cannot make the PDF: the HTML is written alone, and the message says what to install.

    Notes
    -----
    Everything is made before anything is written, so a failure leaves all of an older report. A PDF that is not made anew is taken away, for it would
    tell of other numbers than the page beside it.
    """
    pages = {
        language: render_report(
            study, language=language, linked=len(languages) > 1, alternatives=alternatives, sensitivity=sensitivity, release=release
        )
        for language in languages
    }
    printed = print_pages(pages) if pdf else {}
    written = []
    for language, page in pages.items():
        name = _file_name(study, language)
        written.append(write_page(folder, name, page))
        beside = written[-1].with_suffix(".pdf")
        if language in printed:
            written.append(write_whole(beside, printed[language]))
        else:
            beside.unlink(missing_ok=True)
    return tuple(written)


def write_report(
    study: Study | Design,
    folder: str | Path,
    *,
    language: Language = "sv",
    linked: bool = False,
    alternatives: Designs | None = None,
    sensitivity: Sensitivity | None = None,
    release: Mapping[str, float] | None = None,
) -> Path:
    """Write the report of a study, or of a design whose outcomes are still closed, as one HTML page.

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
    sensitivity : Sensitivity, optional
        What would change the conclusion; without it the page says that nobody has looked, and grades nothing.
    release : mapping of str to float, optional
        The site's rules for what leaves, as `Site.release` has them.

    Returns
    -------
    Path
        The written file, `report.<language>.html` or `design.<language>.html`. An older one is replaced only once the new one is whole.
    """
    return write_page(
        folder,
        _file_name(study, language),
        render_report(study, language=language, linked=linked, alternatives=alternatives, sensitivity=sensitivity, release=release),
    )


def write_pdf(html_file: str | Path) -> Path:
    """Write a page that stands on disk as tagged PDF beside it.

    Parameters
    ----------
    html_file : str or Path
        A page written by `write_report` or `write_check`.

    Returns
    -------
    Path
        The written file, named as the page but `.pdf`. An older one is replaced only once the new one is whole.

    Raises
    ------
    PdfError
        If this machine cannot make it; the message says what to install.
    """
    page = Path(html_file)
    return write_whole(page.with_suffix(".pdf"), render_pdf(page.read_text(encoding="utf-8")))


def render_report(
    study: Study | Design,
    *,
    language: Language = "sv",
    linked: bool = False,
    alternatives: Designs | None = None,
    sensitivity: Sensitivity | None = None,
    release: Mapping[str, float] | None = None,
) -> str:
    """Give the report as HTML; parameters as `write_report`."""
    scene = scene_of(study, language, release)
    return render_page("report.html.j2", compose_page(study, scene, linked=linked, alternatives=alternatives, sensitivity=sensitivity))


@dataclass(frozen=True)
class Frame:
    """What stands around every page: its style, its script, and their words.

    Attributes
    ----------
    style, script : str
    script_hash : str
        SHA-256 in base64: the page's policy lets this script run and no other.
    contents, sort_hint : str
        What the table of contents is called, and how a table is sorted.
    """

    style: str
    script: str
    script_hash: str
    contents: str
    sort_hint: str


def render_page(template: str, page: Page) -> str:
    """Set a page on one of the templates, within the frame they share; refuse one that says more than an evaluation can (`claims`)."""
    loader = jinja2.PackageLoader("evaluation.reporting")
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["columns_of_words"] = columns_of_words
    style, script = (loader.get_source(environment, name)[0] for name in ("report.css", "sort.js"))
    script_hash = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    voice = Voice(page.language, TimeUnit.MONTH)
    frame = Frame(style, script, script_hash, voice("contents"), voice("sort_hint"))
    text = environment.get_template(template).render(page=page, frame=frame) + "\n"
    claims = find_claims(html.unescape(_UNREAD.sub(" ", text)), page.language)
    if claims:
        raise InputError([Problem("page", f"says more than an evaluation can ('{phrase}')", instead) for phrase, instead in claims])
    return text


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
    return write_whole(Path(folder) / name, text.encode())


def print_pages(pages: Mapping[Language, str]) -> dict[Language, bytes]:
    """Give the pages as PDF; none, with a warning, where this machine cannot make them: `begin_printing`, and wait for it."""
    return begin_printing(pages)()


def begin_printing(pages: Mapping[Language, str]) -> Callable[[], dict[Language, bytes]]:
    """Begin to make the pages' PDF, long ones beside each other and beside what the caller does next.

    Parameters
    ----------
    pages : mapping of str to str
        By language.

    Returns
    -------
    callable
        Waits for them and gives them; none, with a `PdfWarning` that says what to install, where this machine cannot make them.
    """
    long = any(len(page) > LONG_PAGE_CHARACTERS for page in pages.values())
    side_by_side = min(len(pages), joblib.cpu_count()) if long else 1
    made = joblib.Parallel(n_jobs=side_by_side, backend="loky", return_as="generator")(joblib.delayed(render_pdf)(page) for page in pages.values())

    def printed() -> dict[Language, bytes]:
        try:
            return dict(zip(pages, made, strict=True))
        except PdfError as missing:
            warnings.warn(f"the HTML is written without its PDF: {missing}", PdfWarning, stacklevel=3)
            return {}

    return printed


def _file_name(study: Study | Design, language: Language) -> str:
    return f"{'report' if isinstance(study, Study) else 'design'}.{language}.html"
