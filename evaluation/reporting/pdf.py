"""How does the page become a PDF that can be heard as well as read?

WeasyPrint lays the same HTML on A4 and tags it after PDF/UA-1 (ISO 14289-1): headings, paragraphs, lists, tables with their header cells, and figures
with an alternative text, in reading order, under a title and a language. Everything is in the page already, so no address is ever fetched. WeasyPrint
needs Pango from the operating system; where it is missing, `PdfError` says what to install and the HTML stands alone.

References
----------
ISO 14289-1:2014, Document management applications: electronic document file format enhancement for accessibility, part 1 (PDF/UA-1).
"""

from __future__ import annotations

import html
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import cast
from xml.etree import ElementTree

from evaluation.errors import PdfError
from evaluation.reporting.figures.svg import one_path_per_text

INSTALL_PANGO = (
    "the PDF needs the library Pango, which pip does not bring; install it with `apt-get install libpango-1.0-0 libpangoft2-1.0-0 "
    "libharfbuzz-subset0` (Debian, Ubuntu), `brew install pango` (macOS) or as WeasyPrint's documentation says (Windows), and write the report again"
)
TALLEST_FIGURE_PT = 670  # A4 less the margins is 734 pt; a caption of three lines takes the rest

_SVG = re.compile(r"<svg\b.*?</svg>", re.DOTALL)
_NAMESPACE = "{http://www.w3.org/2000/svg}"


def render_pdf(page: str) -> bytes:
    """Give a page as tagged PDF/UA-1: the same page gives the same bytes on the same machine.

    Parameters
    ----------
    page : str
        HTML that is whole in itself, as `render_page` gives it. Its print style decides how it looks.

    Returns
    -------
    bytes

    Raises
    ------
    PdfError
        If Pango, or another library that WeasyPrint loads, is missing.

    Notes
    -----
    Each figure is set as an image of its own, as large as it was drawn or as the paper allows, with its title and its description as alternative
    text: within the page's own tree WeasyPrint would take the title alone, and match every rule of the style with every stroke.
    """
    weasyprint = _weasyprint()
    drawn: dict[str, bytes] = {}

    class FiguresAlone(weasyprint.urls.URLFetcher):  # type: ignore[misc, name-defined]
        """Hand out the page's figures, and refuse every other address."""

        def fetch(self, url: str, headers: object = None) -> object:  # noqa: ARG002  # what WeasyPrint calls it with
            if url not in drawn:
                raise ValueError("the report asks for nothing outside itself")
            return weasyprint.urls.URLFetcherResponse(url, body=drawn[url], headers={"Content-Type": "image/svg+xml"})

    def as_image(found: re.Match[str]) -> str:
        svg = ElementTree.fromstring(found.group())
        address = f"figure:{len(drawn) + 1}"
        drawn[address] = ElementTree.tostring(one_path_per_text(svg))
        width, height = _printed_pt(svg)
        spoken = " ".join(_sentence(svg.findtext(f"{_NAMESPACE}{tag}") or "") for tag in ("title", "desc"))
        return f'<img src="{address}" style="width: {width:.2f}pt; height: {height:.2f}pt" alt="{html.escape(spoken)}">'

    printed = _SVG.sub(as_image, page)
    with _nothing_left_out():
        made: bytes = weasyprint.HTML(string=printed, url_fetcher=FiguresAlone()).write_pdf(pdf_variant="pdf/ua-1")
    return made


def _weasyprint() -> ModuleType:
    """Load WeasyPrint, or say what it lacks."""
    try:
        import weasyprint
    except OSError as missing:  # its libraries are looked for when it is loaded
        raise PdfError(INSTALL_PANGO) from missing
    return cast("ModuleType", weasyprint)


@contextmanager
def _nothing_left_out() -> Iterator[None]:
    """Refuse a PDF that lacks something: WeasyPrint only logs what it could not set, and goes on."""
    faults: list[str] = []
    listener = logging.Handler(logging.ERROR)
    listener.emit = lambda record: faults.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("weasyprint")
    logger.addHandler(listener)
    try:
        yield
    finally:
        logger.removeHandler(listener)
    if faults:
        raise PdfError(f"the PDF would lack something that is on the page ({len(faults)} faults, first: {faults[0]}); read the HTML, and report this")


def _printed_pt(svg: ElementTree.Element) -> tuple[float, float]:
    """Give the size of a figure on paper: one unit of its drawing is one point, unless it would not fit."""
    _, _, width, height = (float(number) for number in svg.attrib["viewBox"].split())
    scale = min(1.0, TALLEST_FIGURE_PT / height)
    return width * scale, height * scale


def _sentence(text: str) -> str:
    return text if text.endswith((".", "?", "!")) else f"{text}."
