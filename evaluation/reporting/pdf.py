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
from importlib.resources import files
from types import ModuleType
from typing import cast
from xml.etree import ElementTree

from evaluation.errors import PdfError

INSTALL_PANGO = (
    "the PDF needs the library Pango, which pip does not bring; install it with `apt-get install libpango-1.0-0 libpangoft2-1.0-0 "
    "libharfbuzz-subset0` (Debian, Ubuntu), `brew install pango` (macOS) or as WeasyPrint's documentation says (Windows), and write the report again"
)
PRINTED_SCALE = 0.88  # its text is then as large as a table's, and more of them stand on the page that speaks of them
TALLEST_FIGURE_PT = 600  # A4 less the margins is 734 pt: room for a heading, what introduces the figure, and a caption of three lines

_SVG = re.compile(r"<svg\b.*?</svg>", re.DOTALL)
_NAMESPACE = "{http://www.w3.org/2000/svg}"
_TRANSLATION = re.compile(r"translate\([^)]*\)")
_NUMBER = re.compile(r"-?[\d.]+")
_COMMAND = re.compile(r"([A-Za-z])([^A-Za-z]*)")
_GLYPH_UNITS = 64  # matplotlib draws letters in 64ths of a point
_GLYPH_SCALE = f"scale({1 / _GLYPH_UNITS})"


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
    Running heads are in a style of their own, for only paged media know them. Each figure is set as an image of its own, somewhat smaller than it was
    drawn, with its title and its description as alternative text: within the page's own tree WeasyPrint would take the title alone, and
    match every rule of the style with every stroke.
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
    heads = weasyprint.CSS(string=files("evaluation.reporting").joinpath("templates/paged.css").read_text(encoding="utf-8"))
    with _nothing_left_out():
        made: bytes = weasyprint.HTML(string=printed, url_fetcher=FiguresAlone()).write_pdf(stylesheets=[heads], pdf_variant="pdf/ua-1")
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
    """Give the size of a figure on paper."""
    _, _, width, height = (float(number) for number in svg.attrib["viewBox"].split())
    scale = min(PRINTED_SCALE, TALLEST_FIGURE_PT / height)
    return width * scale, height * scale


def _sentence(text: str) -> str:
    return text if text.endswith((".", "?", "!")) else f"{text}."


def one_path_per_text(svg: ElementTree.Element) -> ElementTree.Element:
    """Draw each text as one path instead of a reference for each letter, for a reader that is slow with references.

    Parameters
    ----------
    svg : Element
        As `svg_text` gives it; changed in place.

    Returns
    -------
    Element
        The same one. It looks the same, and is longer as text.
    """
    glyphs = {
        element.get("id", ""): element for element in svg.iter() if element.tag == f"{_NAMESPACE}path" and element.get("transform") == _GLYPH_SCALE
    }
    relative = {name: _relative(glyph.get("d", "")) for name, glyph in glyphs.items()}
    for group in list(svg.iter()):
        letters = [child for child in group if child.tag == f"{_NAMESPACE}use" and child.get("href", "")[1:] in glyphs]
        if letters:
            strokes = [f"M{_place(letter)}{relative[letter.get('href', '')[1:]]}" for letter in letters]
            for letter in letters:
                group.remove(letter)
            tag = letters[0].tag.replace("use", "path")
            group.append(ElementTree.Element(tag, {"d": "".join(strokes), "transform": _GLYPH_SCALE}))
    for parent in list(svg.iter()):
        for child in [child for child in parent if child.get("id", "") in glyphs]:
            parent.remove(child)
    return svg


def _place(letter: ElementTree.Element) -> str:
    """Say where a letter stands, in the units its outline is drawn in."""
    moved = _TRANSLATION.search(letter.get("transform", ""))
    return " ".join(f"{float(number) * _GLYPH_UNITS:.0f}" for number in _NUMBER.findall(moved.group())) if moved else "0 0"


def _relative(path: str) -> str:
    """Write an outline with every point told from the one before, so that it can be drawn anywhere."""
    here, began, parts = (0.0, 0.0), (0.0, 0.0), []
    for letter, rest in _COMMAND.findall(path):
        numbers = [float(number) for number in rest.split()]
        if letter in "Hh":
            numbers = [numbers[0], here[1]]
        elif letter in "Vv":
            numbers = [here[0], numbers[0]]
        if letter in "Zz":
            here = began
            parts.append("z")
            continue
        points = list(zip(numbers[::2], numbers[1::2], strict=True))
        parts.append({"H": "l", "V": "l"}.get(letter, letter.lower()) + " ".join(f"{x - here[0]:g} {y - here[1]:g}" for x, y in points))
        here = points[-1]
        began = here if letter == "M" else began
    return "".join(parts)
