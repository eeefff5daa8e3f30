"""What does an agency read: which columns mean what, which rules are checked, and how is a delivery made?

The data dictionary, the empty files and the checklist (templates/) are written from the contract itself, so that they cannot say anything else than
what is checked. An agency needs neither Python nor this toolkit to follow them.

References
----------
Data Package standard v2 (2024): https://datapackage.org/standard/data-package/
European Data Protection Board (2025). Guidelines 01/2025 on pseudonymisation.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from importlib.resources import files
from textwrap import indent

from evaluation.registers.contract import ALWAYS, CodeList, Contract
from evaluation.registers.findings import load_rules
from evaluation.registers.schema import Field, Schema

CHECKLIST, LISTS = "LEVERANS.md", "kodlistor"
SENSITIVE = {
    "origin": ("känslig: ursprung", "sensitive: origin"),
    "health": ("känslig: hälsa", "sensitive: health"),
    "social": ("känslig: socialtjänst", "sensitive: social services"),
}
SENSITIVITIES = {
    "none": ("ingen personuppgift", "no personal data"),
    "pseudonymous": ("pseudonym personuppgift", "pseudonymous personal data"),
    **SENSITIVE,
}
FORMS = {
    "string": ("text", "text"),
    "integer": ("heltal", "whole number"),
    "number": ("tal med decimalpunkt", "number with a decimal point"),
    "boolean": ("true eller false", "true or false"),
    "date": ("datum ÅÅÅÅ-MM-DD", "date YYYY-MM-DD"),
    "yearmonth": ("månad ÅÅÅÅ-MM", "month YYYY-MM"),
}
_SEVERITIES = {
    "error": ("Fel: stoppar körningen", "Errors: stop the run"),
    "warning": ("Varningar: räknas men stoppar inget", "Warnings: counted, and stop nothing"),
    "note": ("Noteringar: bara upplysning", "Notes: told and no more"),
}
_TEMPLATES = files("evaluation.registers").joinpath("templates")
_YES, _NO = "✓", "–"
_SENT = ["kod", "benamning_sv", "label_en", "giltig_fran", "giltig_till"]  # the class of a code is the evaluation's business
_EXAMPLE = {"myndighet": "Arbetsförmedlingen", "datauttag": "2026-02-02", "komplett_t_o_m": "2025-12", "syntetisk": "false"}


def render_dictionary(contract: Contract) -> str:
    """Give the data dictionary: every table, column, code list and rule, in Swedish and English side by side.

    Parameters
    ----------
    contract : Contract

    Returns
    -------
    str
        Markdown; links lead to headings on the page and to the code lists beside it.
    """
    parts = [_opening(contract), _overview(contract.tables.values())]
    parts += [_table(schema) for schema in contract.tables.values()]
    parts += [_code_lists(contract), _reused(contract.codes.values()), _rules(), _legend()]
    return "\n\n".join(parts) + "\n"


def templates(contract: Contract) -> dict[str, str]:
    """Give what is sent to an agency: a CSV file with its header row for each table, the code lists, and a checklist in Swedish and English.

    Parameters
    ----------
    contract : Contract

    Returns
    -------
    dict of str to str
        Text by file name.
    """
    empty = {f"{name}.csv": _csv(_names(schema)) for name, schema in contract.tables.items()}
    lists = {f"{LISTS}/{name}.csv": listed.entries[_SENT].replace(ALWAYS, "").to_csv(index=False) for name, listed in contract.codes.items()}
    return {CHECKLIST: _checklist(contract)} | empty | lists


def _opening(contract: Contract) -> str:
    headings = (
        "Tabeller / Tables",
        "Kodlistor / Code lists",
        "Koder med flera betydelser / Codes with several meanings",
        "Regler / Rules",
        "Tecken / Signs",
    )
    links = " · ".join(f"[{heading}](#{anchor(heading)})" for heading in headings)
    return f"""# Dataavtalet / The data contract

Version {contract.version}. Sidan skrivs ur schemana i denna mapp av `malmokraften schema dictionary data_schema/README.md`: ändra dem, inte
sidan. *This page is written from the schemas in this folder by that command: change them, not the page.*

{links}"""


def _overview(schemas: Iterable[Schema]) -> str:
    rows = [
        (
            f"[{schema.name}](#{anchor(schema.name)})",
            schema.titles["sv"],
            schema.titles["en"],
            schema.agency,
            _mark(schema.required),
            str(len(schema.fields)),
        )
        for schema in schemas
    ]
    return "## Tabeller / Tables\n\n" + _grid(
        ("Tabell / Table", "Svenska", "English", "Myndighet / Agency", "Krävs / Required", "Kolumner / Columns"), rows
    )


def _table(schema: Schema) -> str:
    about = _grid((schema.titles["sv"], schema.titles["en"]), _about(schema))
    heads = (
        "Kolumn / Column",
        "Form",
        "Krävs / Required",
        "Svenska",
        "English",
        "Värden / Values",
        "Skydd / Sensitivity",
        "Roll / Role",
        "Källa / Source",
    )
    columns = [
        (
            f"`{entry.name}`",
            entry.kind,
            _mark(entry.required),
            _said(entry.titles["sv"], entry.descriptions["sv"]),
            _said(entry.titles["en"], entry.descriptions["en"]),
            _values(entry),
            entry.sensitivity,
            entry.role,
            entry.source or _NO,
        )
        for entry in schema.fields
    ]
    return f"### {schema.name}\n\n{about}\n\n{_grid(heads, columns)}"


def _about(schema: Schema) -> Iterator[tuple[str, str]]:
    """Say about a table, in either language, what holds for its rows."""
    yield schema.descriptions["sv"], schema.descriptions["en"]
    required = ("Krävs", "Required") if schema.required else ("Kan utelämnas", "May be left out")
    yield f"{required[0]}. Levereras av {schema.agency}.", f"{required[1]}. Delivered by {schema.agency}."
    key = ", ".join(f"`{name}`" for name in schema.key)
    yield f"Högst en rad per {key}.", f"At most one row per {key}."
    if schema.spell:
        start, stop = schema.spell.start, schema.spell.stop
        swedish, english = ("till och med", "up to and including") if schema.spell.includes_stop else ("till men inte med", "up to but not including")
        yield (
            f"Gäller från och med `{start}` {swedish} `{stop}`; tomt slut betyder att det pågår.",
            f"Holds from `{start}` {english} `{stop}`; an empty end means that it goes on.",
        )
        if schema.spell.repaired:
            yield (
                "Levereras som den är: rensningen åtgärdar dubbletter, överlapp och negativa perioder.",
                "Delivered as it is: cleaning mends duplicates, overlaps and negative spells.",
            )
    if schema.dated_by:
        yield f"En kod betyder det den betydde vid `{schema.dated_by}`.", f"A code means what it meant at `{schema.dated_by}`."


def _values(entry: Field) -> str:
    """Say which values may occur."""
    said = [f"[{entry.codelist}](codes/{entry.codelist}.csv)"] if entry.codelist else []
    said += [f"`{value}` {_both(labels['sv'], labels['en'])}" for value, labels in entry.levels.items()]
    if entry.minimum is not None and entry.maximum is not None:
        said.append(f"{entry.minimum:g}–{entry.maximum:g}")
    elif entry.minimum is not None:
        said.append(f"≥ {entry.minimum:g}")
    said += [f"`{entry.pattern}`"] if entry.pattern else []
    said += ["unik / unique"] if entry.unique else []
    return ", ".join(said) or _NO


def _code_lists(contract: Contract) -> str:
    heads = ("Lista / List", "Svenska", "English", "Koder / Codes", "Kontrollerad / Verified", "Status", "Används i / Used by", "Källa / Source")
    rows = [
        (
            f"[{name}](codes/{name}.csv)",
            listed.titles["sv"],
            listed.titles["en"],
            str(listed.entries["kod"].nunique()),
            _mark(listed.verified),
            listed.status,
            ", ".join(f"[{table}](#{anchor(table)})" for table in _users(contract, name)) or _NO,
            listed.source,
        )
        for name, listed in contract.codes.items()
    ]
    return "## Kodlistor / Code lists\n\n" + _grid(heads, rows)


def _users(contract: Contract, codelist: str) -> list[str]:
    return [name for name, schema in contract.tables.items() if any(entry.codelist == codelist for entry in schema.fields)]


def _reused(lists: Iterable[CodeList]) -> str:
    rows = [
        (f"{listed.name} `{entry['kod']}`", _day(entry["giltig_fran"]), _day(entry["giltig_till"]), entry["benamning_sv"], entry["label_en"])
        for listed in lists
        for entry in listed.entries[listed.entries["kod"].isin(listed.reused)].to_dict("records")
    ]
    heads = ("Kod / Code", "Från / From", "Till och med / Up to", "Svenska", "English")
    return "## Koder med flera betydelser / Codes with several meanings\n\n" + _grid(heads, rows)


def _rules() -> str:
    parts = ["## Regler / Rules"]
    for severity, titles in _SEVERITIES.items():
        rules = [rule for rule in load_rules().values() if rule.severity == severity]
        rows = [
            (f"`{rule.key}`", *(_open(_said(rule.rule[language], _sentence(rule.remedy[language]))) for language in ("sv", "en"))) for rule in rules
        ]
        parts += [f"**{_both(*titles)}**", _grid(("Regel / Rule", "Svenska", "English"), rows)]
    return "\n\n".join(parts)


def _legend() -> str:
    rows = [(f"`{key}`", *texts) for key, texts in {**FORMS, **SENSITIVITIES}.items()]
    return "## Tecken / Signs\n\n" + _grid(("Ord / Word", "Svenska", "English"), [*rows, (_YES, "ja", "yes"), (_NO, "nej, inga", "no, none")])


def _checklist(contract: Contract) -> str:
    delivery = contract.tables["leverans"]
    example = _EXAMPLE | {"schemaversion": contract.version}
    filled = _csv(_names(delivery)) + _csv(example[name] for name in _names(delivery))
    swedish = _template("sv").format(
        version=contract.version,
        agencies=_indented(_grid(("Myndighet / Agency", "Filer / Files"), _deliveries(contract))),
        example=_indented(f"```\n{filled}```"),
        sensitive=_indented("\n".join(f"- {line}" for line in _sensitive(contract))),
    )
    described = "\n\n".join(map(_file, contract.tables.values()))
    return f"{swedish}\n# Filerna / The files\n\n{described}\n\n{_template('en')}"


def _template(language: str) -> str:
    return _TEMPLATES.joinpath(f"checklist.{language}.md").read_text(encoding="utf-8")


def _deliveries(contract: Contract) -> Iterator[tuple[str, str]]:
    for agency in dict.fromkeys(schema.agency for schema in contract.tables.values()):
        yield agency, ", ".join(f"{schema.name}.csv" for schema in contract.tables.values() if schema.agency == agency)


def _sensitive(contract: Contract) -> Iterator[str]:
    for schema in contract.tables.values():
        for kind, (swedish, _) in SENSITIVE.items():
            columns = [entry.name for entry in schema.fields if entry.sensitivity == kind]
            if columns:
                yield f"{schema.name}.csv ({swedish}): {', '.join(columns)}"


def _file(schema: Schema) -> str:
    """Describe one file to whoever fills it in."""
    required = ("krävs", "required") if schema.required else ("kan utelämnas", "may be left out")
    title = (
        f"## {schema.name}.csv\n\n{_both(schema.titles['sv'], schema.titles['en'])}. {schema.agency}; {_both(*required)}. {schema.descriptions['sv']}"
    )
    heads = ("Kolumn / Column", "Innehåll", "In English", "Form", "Måste fyllas i / Required", "Koder / Codes")
    rows = [
        (
            f"`{entry.name}`",
            _said(entry.titles["sv"], entry.descriptions["sv"]),
            entry.titles["en"],
            _both(*FORMS[entry.kind]),
            _mark(entry.required),
            _allowed(entry),
        )
        for entry in schema.fields
    ]
    return f"{title}\n\n{_grid(heads, rows)}"


def _allowed(entry: Field) -> str:
    """Say which values may be filled in, to somebody who has the folder of templates and nothing else."""
    if entry.codelist:
        return f"[{entry.codelist}]({LISTS}/{entry.codelist}.csv)"
    return _values(entry)


def _names(schema: Schema) -> list[str]:
    return [entry.name for entry in schema.fields]


def _indented(block: str) -> str:
    """Put a block inside an item of a list."""
    return indent(block, "   ") + "\n"


def _csv(cells: Iterable[str]) -> str:
    return ",".join(cells) + "\n"


def anchor(heading: str) -> str:
    """Give the name a Markdown page gives a heading, for links to it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _grid(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Write a Markdown table."""
    lines = [heads, ("---",) * len(heads), *(tuple(cell.replace("|", "\\|") for cell in row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _said(title: str, description: str) -> str:
    return f"**{title}**. {description}" if description else f"**{title}**"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _both(swedish: str, english: str) -> str:
    return swedish if swedish == english else f"{swedish} / {english}"


def _mark(said: bool) -> str:
    return _YES if said else _NO


def _day(day: str) -> str:
    return _NO if day in ALWAYS else day


def _open(sentence: str) -> str:
    """Leave a sentence's places to fill open."""
    return re.sub(r"\{\w+\}", "…", sentence)
