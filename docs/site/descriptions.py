"""What does each option of a spec mean, and what is said twice? Docstrings as the reference wants them.

What a pydantic `Field` says of an option becomes its docstring; attributes that the docstring of a class explains already are not listed again;
formulas are handed on in the form the pages know.
"""

from __future__ import annotations

import ast
import re

from griffe import Attribute, Class, Docstring, ExprCall, ExprKeyword, Extension, Object

MATH_BLOCK = re.compile(r"^( *)\.\. math:: (.*(?:\n(?!\s*$).*)*)", flags=re.MULTILINE)
MATH_ROLE = re.compile(r":math:`([^`]+)`")
EXPLAINED = re.compile(r"^ *Attributes\n *-+$", flags=re.MULTILINE)


class Descriptions(Extension):
    """Makes ready what the docstrings leave to somebody else."""

    def on_attribute_instance(self, *, attr: Attribute, **_: object) -> None:
        """Give an attribute that is a `Field(...)` its description and its default."""
        call = attr.value
        if not isinstance(call, ExprCall) or str(call.function) != "Field":
            return
        words = {word.name: str(word.value) for word in call.arguments if isinstance(word, ExprKeyword)}
        if "description" in words and attr.docstring is None:
            attr.docstring = Docstring(ast.literal_eval(words["description"]), parent=attr)
        first = [str(argument) for argument in call.arguments if not isinstance(argument, ExprKeyword)]
        attr.value = words.get("default", first[0] if first else None)

    def on_class_members(self, *, cls: Class, **_: object) -> None:
        """Leave out attributes that the docstring of their class explains."""
        if cls.docstring and EXPLAINED.search(cls.docstring.value):
            for name in [name for name, member in cls.members.items() if isinstance(member, Attribute) and member.docstring is None]:
                cls.del_member(name)

    def on_instance(self, *, obj: Object, **_: object) -> None:
        """Write formulas between dollars."""
        if obj.docstring:
            text = MATH_BLOCK.sub(lambda block: f"\n{block[1]}$$\n{block[1]}{' '.join(block[2].split())}\n{block[1]}$$\n", obj.docstring.value)
            obj.docstring.value = MATH_ROLE.sub(r"$\1$", text)
