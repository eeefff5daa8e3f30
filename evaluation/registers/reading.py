"""How is what was delivered read as a value, and what does it look like where it cannot be?

Nothing is guessed: a text is a date in the one notation the site states, and a number with its one decimal sign. A text that is neither is held
against the ways dates and numbers are otherwise written, so that whoever delivered it is told which one it looks like.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from evaluation.registers.checks import Check, identifier, literal

Kind = Literal["integer", "number", "string", "boolean", "date", "yearmonth"]
TYPES = {"string": "VARCHAR", "integer": "BIGINT", "number": "DOUBLE", "boolean": "BOOLEAN", "date": "DATE", "yearmonth": "DATE"}
ISO_DATE = "%Y-%m-%d"
_WHOLE = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"}  # integers that fit the widest we keep


class Notation(NamedTuple):
    """How a deliverer writes dates and numbers, as strptime writes it and as the decimal sign."""

    date_format: str = ISO_DATE
    decimal: Literal[".", ","] = "."


class _Shape(NamedTuple):
    """What a date or month that cannot be read may look like, and the rule that says what to do about it."""

    key: str
    name: str
    pattern: str
    date_format: str = ""


_ISO_DAY = "[1-9][0-9]{3}-[0-9]{2}-[0-9]{2}([ T]00:00:00([.]0+)?)?"  # databases write a day with its midnight
_ISO_MONTH = "[1-9][0-9]{3}-[0-9]{2}(-01([ T]00:00:00([.]0+)?)?)?"  # and spreadsheets a month as its first day
FAR = "date '2100-01-01'"  # from here on a date stands for none: 9999-12-31 is how databases write that something lasts
_DAYS = "between date '1000-01-01' and date '9999-12-31'"  # the years of four digits: further out, databases count to infinity
_D, _M, _Y = "(0?[1-9]|[12][0-9]|3[01])", "(0?[1-9]|1[0-2])", "(18|19|20)[0-9]{2}"
_NOTHING = _Shape("nothing_written", "NULL", "(?i:null|nan|nat|none|na|n/a|-+|[.]+)")  # how programs write that there is none
_DATE_SHAPES = (  # no text fits two of them
    _Shape("date_format", "DD/MM/YYYY", f"{_D}/{_M}/{_Y}", "%d/%m/%Y"),
    _Shape("date_format", "MM/DD/YYYY", f"{_M}/(1[3-9]|2[0-9]|3[01])/{_Y}", "%m/%d/%Y"),
    _Shape("date_format", "DD.MM.YYYY", f"{_D}[.]{_M}[.]{_Y}", "%d.%m.%Y"),
    _Shape("date_format", "DD-MM-YYYY", f"{_D}-{_M}-{_Y}", "%d-%m-%Y"),
    _Shape("date_format", "YYYY/MM/DD", f"{_Y}/{_M}/{_D}", "%Y/%m/%d"),
    _Shape("date_format", "YYYY-MM-DD", f"{_Y}-{_M}-{_D}", ISO_DATE),
    _Shape("date_format", "YYYY-MM-DD hh:mm:ss", f"{_Y}-{_M}-{_D} [0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}", "%Y-%m-%d %H:%M:%S"),
    _Shape("date_format", "YYYYMMDD", f"{_Y}[0-9]{{4}}", "%Y%m%d"),
    _Shape("date_format", "YYMMDD", "[0-9]{6}", "%y%m%d"),
    _Shape("date_serial", "Excel", "[2-5][0-9]{4}"),  # days since 1899-12-30: 1954 to 2064
    _NOTHING,
)
_MONTH_SHAPES = (
    _Shape("month_format", "YYYYMM", f"{_Y}[0-9]{{2}}"),
    _Shape("month_format", "YYYY-MM-DD", f"{_Y}-{_M}-{_D}"),
    _Shape("month_format", "MM/YYYY", f"{_M}/{_Y}"),
    _NOTHING,
)


def text_of(name: str) -> str:
    """Give the SQL name of a column's text as delivered, beside its value."""
    return identifier(f"{name} as delivered")


def value_sql(name: str, kind: Kind, stored: str, notation: Notation) -> str:
    """Give the SQL of a column's value as delivered; null where the text, beside it as `text_of(name)`, cannot be read.

    Parameters
    ----------
    name : str
        The column, of a table called `given`.
    kind : {"integer", "number", "string", "boolean", "date", "yearmonth"}
        What it should hold.
    stored : str
        The database's own type of it.
    notation : Notation
    """
    delivered, written, number = f"given.{identifier(name)}", text_of(name), _number(text_of(name), notation)
    match kind:
        case "string":
            return written
        case "number" if stored == "DOUBLE":
            return f"case when not isnan({delivered}) then {delivered} end"
        case _ if _is_native(kind, stored):
            return f"try_cast({delivered} as {TYPES[kind]})"
        case "date" if stored == "DATE" or stored.startswith("TIMESTAMP"):
            day = f"cast({delivered} as date)"
            return f"case when {day} {_DAYS} and {delivered} = date_trunc('day', {delivered}) then {day} end"
        case "yearmonth":
            return f"case when regexp_full_match({written}, '{_ISO_MONTH}') then try_cast(left({written}, 7) || '-01' as date) end"
        case "boolean":
            return f"case when lower({written}) in ('true', '1') then true when lower({written}) in ('false', '0') then false end"
        case "integer":
            return f"case when {number} = trunc({number}) then try_cast({number} as bigint) end"
        case "number":
            return number
        case _ if notation.date_format == ISO_DATE:
            return f"case when regexp_full_match({written}, '{_ISO_DAY}') then try_cast(left({written}, 10) as date) end"
        case _:
            day = f"cast(try_strptime({written}, {literal(notation.date_format)}) as date)"
            return f"case when {day} {_DAYS} then {day} end"


def unread_checks(name: str, kind: Kind, stored: str, notation: Notation) -> list[Check]:
    """Give the check that every text could be read; where one could not, what it looks like is told instead.

    Parameters
    ----------
    name, kind, stored, notation
        As in `value_sql`.

    Returns
    -------
    list of Check
        Empty where the database's own type says that it could.
    """
    if _is_native(kind, stored):
        return []
    written = text_of(name)
    broken = f"{identifier(name)} is null and {written} is not null"

    def check(key: str, condition: str, **detail: str) -> Check:
        return Check(name, key, f"{broken} and {condition}", detail)

    shapes: tuple[_Shape, ...]
    match kind:
        case "string":
            return []
        case "boolean":
            return [Check(name, "not_boolean", broken)]
        case "integer" | "number":
            number, comma = _number(written, notation), f"regexp_full_match({written}, '[-+]?[0-9]+,[0-9]+')"
            looks = [
                check("decimal_comma", f"{number} is null and {comma}"),
                check("not_number", f"{number} is null and not {comma}"),
                check("not_whole", f"{number} is not null"),
            ]
            return [Check(name, "not_number", broken, instead=tuple(looks))]
        case "yearmonth":
            key, shapes, wanted = "not_month", _MONTH_SHAPES, "YYYY-MM"
        case "date":
            key, shapes = "not_date", tuple(shape for shape in _DATE_SHAPES if shape.date_format != notation.date_format)
            wanted = "YYYY-MM-DD" if notation.date_format == ISO_DATE else notation.date_format
    looks = [
        check(shape.key, f"regexp_full_match({written}, {literal(shape.pattern)})", format=wanted, looks=shape.name, date_format=shape.date_format)
        for shape in shapes
    ]
    known = "|".join(shape.pattern for shape in shapes)
    looks.append(check(key, f"not regexp_full_match({written}, {literal(known)})", format=wanted))
    return [Check(name, key, broken, instead=tuple(looks))]


def _is_native(kind: Kind, stored: str) -> bool:
    """Tell whether the database's own type already says that every value is of this kind."""
    return (stored == TYPES[kind] and stored != "DATE") or (kind in ("integer", "number") and stored in _WHOLE)


def _number(written: str, notation: Notation) -> str:
    whole, point = "[0-9]+", "[,]" if notation.decimal == "," else "[.]"
    pattern = f"[-+]?({whole}({point}[0-9]*)?|{point}{whole})([eE][-+]?{whole})?"
    plain = f"replace({written}, ',', '.')" if notation.decimal == "," else written
    return f"case when regexp_full_match({written}, {literal(pattern)}) then try_cast({plain} as double) end"
