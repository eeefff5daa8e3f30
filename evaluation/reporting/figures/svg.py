"""How does a figure come into a page? As one SVG element, the same bytes each time, with text as outlines."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from xml.etree import ElementTree

from matplotlib import rc_context
from matplotlib.figure import Figure

from evaluation.reporting.figures.page import STYLE

_REFERENCE = re.compile(r"(?<=url\(#)[^)]+")
_LONG_NUMBER = re.compile(r"-?\d+\.\d{3,}")
_TRANSLATION = re.compile(r"translate\([^)]*\)")
_NUMBER = re.compile(r"-?[\d.]+")
_COMMAND = re.compile(r"([A-Za-z])([^A-Za-z]*)")
_GLYPH_UNITS = 64  # matplotlib draws letters in 64ths of a point
_GLYPH_SCALE = f"scale({1 / _GLYPH_UNITS})"
_COORDINATES = ("d", "x", "y", "width", "height")


def svg_text(figure: Figure, *, name: str, title: str, description: str) -> str:
    """Give the figure as SVG to stand in a page: the same figure gives the same bytes.

    Parameters
    ----------
    figure : Figure
    name : str
        Letters, digits and hyphens; unique on the page, for every id begins with it.
    title, description : str
        What the figure is and what it shows, for those who do not see it.

    Returns
    -------
    str
        One `svg` element that CSS can scale, with text as outlines and nothing about where or when it was made.
    """
    written = io.StringIO()
    with rc_context(STYLE):
        figure.savefig(written, format="svg", metadata={"Date": None, "Creator": None})
    root = ElementTree.fromstring(written.getvalue())
    for parent in list(root.iter()):
        for child in list(parent):
            if _local(child.tag) in ("metadata", "style"):  # its one rule, for every element, would reach the page around the figure
                parent.remove(child)
    used = dict.fromkeys(old for element in root.iter() for old in _references(element))
    names = {old: f"{name}-{number}" for number, old in enumerate(used, start=1)}
    for element in root.iter():
        _tidy(element, names)
    root.attrib = {
        "xmlns": "http://www.w3.org/2000/svg",
        "viewBox": root.attrib["viewBox"],
        "role": "img",
        "aria-labelledby": f"{name}-title {name}-desc",
        "stroke-linejoin": "round",
        "stroke-linecap": "butt",
    }
    for position, (tag, text) in enumerate([("title", title), ("desc", description)]):
        element = ElementTree.Element(tag, {"id": f"{name}-{tag}"})
        element.text, element.tail = text, "\n"
        root.insert(position, element)
    return ElementTree.tostring(root, encoding="unicode")


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
    glyphs = {element.get("id", ""): element for element in svg.iter() if _local(element.tag) == "path" and element.get("transform") == _GLYPH_SCALE}
    relative = {name: _relative(glyph.get("d", "")) for name, glyph in glyphs.items()}
    for group in list(svg.iter()):
        letters = [child for child in group if _local(child.tag) == "use" and child.get("href", "")[1:] in glyphs]
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


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def _references(element: ElementTree.Element) -> list[str]:
    """Give the ids an element refers to."""
    found = [old for value in element.attrib.values() for old in _REFERENCE.findall(value)]
    return found + [value[1:] for key, value in element.attrib.items() if _local(key) == "href"]


def _tidy(element: ElementTree.Element, names: Mapping[str, str]) -> None:
    """Take away namespaces and ids nobody refers to, rename the others and round coordinates to hundredths of a point."""
    attributes: dict[str, str] = {}
    for key, value in element.attrib.items():
        if key == "style":  # as attributes of their own, so that pages that forbid inline styles show them
            attributes |= {part.strip(): rule.strip() for part, _, rule in (piece.partition(":") for piece in value.split(";") if piece.strip())}
        elif key == "id":
            attributes |= {"id": names[value]} if value in names else {}
        elif _local(key) == "href":
            attributes["href"] = f"#{names[value[1:]]}"
        elif key in _COORDINATES:
            attributes[key] = _LONG_NUMBER.sub(_hundredths, value)
            if key == "d":
                attributes[key] = _short_path(attributes[key])
        elif key == "transform":
            attributes[key] = _TRANSLATION.sub(lambda found: _LONG_NUMBER.sub(_hundredths, found.group()), value)
        else:
            attributes[key] = value
    element.attrib = {key: _REFERENCE.sub(lambda found: names[found.group()], value) for key, value in attributes.items()}
    element.tag, element.text, element.tail = _local(element.tag), None, "\n"


def _hundredths(number: re.Match[str]) -> str:
    text = f"{float(number.group()):.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _short_path(path: str) -> str:
    """Write level and upright lines by their one new coordinate: curves consist of them."""
    parts, here = [], ["", ""]
    for letter, rest in _COMMAND.findall(path):
        numbers = rest.split()
        if letter == "L" and numbers[0] == here[0]:
            parts.append(f"V{numbers[1]}")
        elif letter == "L" and numbers[1] == here[1]:
            parts.append(f"H{numbers[0]}")
        else:
            parts.append(letter + " ".join(numbers))
        here = numbers[-2:] or here
    return "".join(parts)
