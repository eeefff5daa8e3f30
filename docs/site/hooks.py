"""How do the project's own files become pages, and formulas pictures, so that nothing is fetched?

Pages outside docs/ that the site shows (the data dictionary, CONTRIBUTING, CHANGELOG) are read where they lie; links to files that are no pages lead
to a copy. Formulas are drawn when the site is built, for a script that sets them would have to be fetched.
"""

from __future__ import annotations

import html
import io
import posixpath
import re
from functools import cache
from pathlib import Path

import matplotlib as mpl
from matplotlib.mathtext import math_to_image
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

PROJECT = Path(__file__).parents[2]
PAGES = {"data_schema/README.md": "data-dictionary.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md", "README.md": "index.md"}
SUFFIXES = {".toml", ".csv", ".json", ".md", ".py", ".ipynb", ".svg", ".lock"}  # kinds of file a page may lead to
LINK = re.compile(r"(\]\()([^)\s#]+)((?:#[^)\s]*)?\))")
FORMULA = re.compile(r'<(?P<tag>span|div) class="arithmatex">(?P<tex>.*?)</(?P=tag)>', flags=re.DOTALL)
SAID_OTHERWISE = (  # what mathtext calls by another name, or does not know
    (r"\\dots\b", r"\\ldots"),
    (r"\\top\b", "T"),
    (r"\\le\b", r"\\leq"),
    (r"\\ge\b", r"\\geq"),
    (r"\\Big\b", ""),
    (r"\\tfrac(\d)(\d)", r"\\frac{\1}{\2}"),
    (r"\\tfrac(\\[a-z]+)(\d)", r"\\frac{\1}{\2}"),
    (r"\\text\{([^}]*)\}", lambda words: r"\mathrm{" + words[1].replace(" ", r"\ ") + "}"),
    (r"\s*\n\s*", " "),
)
POINTS_PER_EM = 8.7  # mathtext draws at 10; its letters are small beside those of the page


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what lies outside docs/ and is a page, or is linked to."""
    for source, name in PAGES.items():
        if name != "index.md":
            files.append(File.generated(config, name, content=_led_home((PROJECT / source).read_text(encoding="utf-8"), source, name)))
    texts = {f"docs/{file.src_uri}": file.content_string for file in files if file.src_uri.endswith(".md") and not file.generated_by}
    texts |= {source: (PROJECT / source).read_text(encoding="utf-8") for source in PAGES}
    wanted = {_target(source, link) for source, text in texts.items() for _, link, _ in LINK.findall(text)}
    for path in sorted(path for path in wanted if path and not path.startswith("docs/") and path not in PAGES):
        if (PROJECT / path).is_file():
            files.append(File.generated(config, f"files/{path}", abs_src_path=str(PROJECT / path)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Lead the links of a page of docs/ to where the site has the file."""
    return markdown if page.file.generated_by else _led_home(markdown, f"docs/{page.file.src_uri}", page.file.src_uri)


def on_page_content(content: str, **_: object) -> str:
    """Draw the formulas of a page."""
    return FORMULA.sub(_drawn, content)


def _target(source: str, link: str) -> str | None:
    """Give the file a link leads to, from the project's folder; None for one that leads out."""
    return None if "://" in link or link.startswith("mailto:") else posixpath.normpath(posixpath.join(posixpath.dirname(source), link))


def _led_home(markdown: str, source: str, name: str) -> str:
    """Write the links of `source`, a file of the project, as they are from the page `name` of the site."""

    def lead(link: re.Match[str]) -> str:
        target = _target(source, link[2])
        if target is None:
            return link[0]
        if target in PAGES:
            there = PAGES[target]
        elif target.startswith("docs/"):
            there = target.removeprefix("docs/")
        elif Path(target).suffix in SUFFIXES and (PROJECT / target).is_file():
            there = f"files/{target}"
        else:
            return link[0]
        return f"{link[1]}{posixpath.relpath(there, posixpath.dirname(name) or '.')}{link[3]}"

    return LINK.sub(lead, markdown)


def _drawn(formula: re.Match[str]) -> str:
    tex = html.unescape(formula["tex"]).strip()
    tex = tex.removeprefix(r"\(").removesuffix(r"\)").removeprefix(r"\[").removesuffix(r"\]").strip()
    picture = _picture(tex if formula["tag"] == "span" else tex.replace(r"\frac", r"\dfrac"))
    told = html.escape(tex, quote=True)
    if picture is None:
        return f'<code class="tex">{told}</code>'
    tag = "div" if formula["tag"] == "div" else "span"
    return f'<{tag} class="formula" role="img" aria-label="{told}">{picture}</{tag}>'


@cache
def _picture(tex: str) -> str | None:
    """Draw a formula; None where mathtext does not know a command in it."""
    for ours, theirs in SAID_OTHERWISE:
        tex = re.sub(ours, theirs, tex)
    stream = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": tex, "mathtext.fontset": "stix", "svg.fonttype": "path"}):
        try:
            depth = math_to_image(f"${tex}$", stream, dpi=72, format="svg")
        except (ValueError, RuntimeError):
            return None
    drawing = re.sub(r"<metadata>.*?</metadata>", "", stream.getvalue().decode("utf-8"), flags=re.DOTALL)
    drawing = drawing[drawing.index("<svg") :]
    width, height = (float(re.search(rf'{side}="([\d.]+)pt"', drawing)[1]) for side in ("width", "height"))  # type: ignore[index]
    size = f'style="width:{width / POINTS_PER_EM:.3f}em;height:{height / POINTS_PER_EM:.3f}em;vertical-align:{-depth / POINTS_PER_EM:.3f}em"'
    drawing = re.sub(r'(<svg[^>]*?) width="[^"]*"', rf"\1 {size}", re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", drawing, count=1), count=1)
    return " ".join(drawing.split())
