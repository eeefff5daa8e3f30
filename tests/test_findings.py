"""A finding says what must hold and what to do, in both languages, with counts and never a value."""

import string
from importlib.resources import files

import pytest

from evaluation.errors import SchemaError
from evaluation.registers.findings import Finding, Findings, collect, load_rules

BELOW = Finding("manadslon", "kontant_ersattning", "below", {"minimum": "0"}, 3, 12, (2, 5, 7))
ABSENT = Finding("studier", "", "table_absent")
OVERLAP = Finding("inskrivning", "inskriven_datum", "overlap", {}, 1, 4, (4,))


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("key", load_rules())
def test_a_rule_says_the_same_in_both_languages(key: str) -> None:
    rule = load_rules()[key]
    assert rule.severity in ("error", "warning", "note")
    for sentence in (rule.rule, rule.remedy):
        assert placeholders(sentence["sv"]) == placeholders(sentence["en"])
        assert sentence["sv"] != sentence["en"]
        assert all(text and text == text.strip() and not text.endswith(".") and text[0].islower() for text in sentence.values())


@pytest.mark.parametrize("key", [key for key, rule in load_rules().items() if rule.severity != "note"])
def test_what_is_broken_is_said_to_be_broken_by_rows_that_do_not(key: str) -> None:
    """The rows are counted as "2 of 3 rows do not", which needs a must or a should before it."""
    rule = load_rules()[key].rule
    begins = {"error": ("must ", ("måste ", "får ")), "warning": ("should ", ("bör ",))}[load_rules()[key].severity]
    told = key not in ("column_extra", "column_resembles")  # about a column, not its rows
    assert not told or rule["en"].startswith(begins[0])
    assert not told or rule["sv"].startswith(begins[1])


def test_the_rules_are_written_in_utf_8_and_nothing_stands_in_brackets() -> None:
    """A terminal reads brackets as marks of style."""
    assert "[" not in files("data_schema").joinpath("rules.json").read_text(encoding="utf-8")


@pytest.mark.hand
def test_a_finding_speaks_both_languages() -> None:
    assert (BELOW.rule("sv"), BELOW.rule()) == ("måste vara minst 0", "must be at least 0")
    assert (BELOW.remedy("sv"), BELOW.remedy()) == ("rätta värdet, eller vidga schemat", "correct it, or widen the schema")
    assert (BELOW.severity, BELOW.share, ABSENT.share) == ("error", 0.25, None)


@pytest.mark.hand
def test_a_finding_becomes_a_problem() -> None:
    assert str(BELOW.to_problem()) == (
        "manadslon.kontant_ersattning: must be at least 0; 3 of 12 rows do not, first at row 2; correct it, or widen the schema"
    )
    assert str(ABSENT.to_problem()) == "studier: is not delivered; deliver it if the question needs it"


@pytest.mark.hand
def test_findings_stand_by_severity_and_then_by_table() -> None:
    late = Finding("individ", "kon", "missing", {}, 1, 2, (1,))
    found = collect([ABSENT, OVERLAP, BELOW, late, Finding("letter.pdf", "", "file_unknown")], ["individ", "inskrivning", "manadslon", "studier"])
    assert [item.table for item in found.items] == ["individ", "manadslon", "inskrivning", "letter.pdf", "studier"]
    assert found.of("error") == (late, BELOW)


@pytest.mark.hand
def test_findings_become_a_table() -> None:
    frame = Findings((BELOW, ABSENT)).to_frame("sv")
    assert frame.iloc[0].tolist() == [
        "error",
        "manadslon",
        "kontant_ersattning",
        "måste vara minst 0",
        3,
        0.25,
        "2, 5, 7",
        "rätta värdet, eller vidga schemat",
    ]
    assert frame.loc[1, ["rows", "share"]].isna().all()
    assert list(Findings(()).to_frame()) == list(frame)


def test_errors_are_raised_together_and_nothing_else_is() -> None:
    Findings((OVERLAP, ABSENT)).raise_errors()
    with pytest.raises(SchemaError, match=r"the delivery is not as data_schema/ says \(2 problems\)") as caught:
        Findings((BELOW, BELOW, OVERLAP)).raise_errors()
    assert caught.value.problems == (BELOW.to_problem(), BELOW.to_problem())


def test_a_rule_that_is_not_written_down_cannot_be_broken() -> None:
    with pytest.raises(KeyError, match="no_such_rule"):
        Finding("individ", "", "no_such_rule").severity  # noqa: B018
