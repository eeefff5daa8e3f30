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
_COMMAND = re.compile(r"([A-Za-z])([^A-Za-z]*)")
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
    _drop_spaces(root)
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


def _drop_spaces(root: ElementTree.Element) -> None:
    """Take away letters without an outline: SVG 1.1 wants one for every path."""
    blank = {element.attrib["id"] for element in root.iter() if _local(element.tag) == "path" and "id" in element.attrib and not element.get("d")}
    for parent in list(root.iter()):
        for child in list(parent):
            if child.get("id") in blank or (_local(child.tag) == "use" and blank.intersection(_references(child))):
                parent.remove(child)


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
