"""Calls laid out as `ruff format` does: in one line where it fits, else their arguments in one, else one a line."""

from __future__ import annotations

from dataclasses import dataclass

WIDTH = 120


@dataclass(frozen=True)
class Call:
    """`head(arguments)`, or a list where the head is empty and the brackets are square."""

    head: str
    arguments: tuple[Expression, ...]
    brackets: str = "()"

    def __str__(self) -> str:
        return f"{self.head}{self.brackets[0]}{', '.join(map(str, self.arguments))}{self.brackets[1]}"


@dataclass(frozen=True)
class Keyword:
    """`name=value` in a call."""

    name: str
    value: Expression

    def __str__(self) -> str:
        return f"{self.name}={self.value}"


Expression = str | Call | Keyword


def call(head: str, *arguments: Expression | None, **keywords: Expression | None) -> Call:
    """A call; arguments that are None are left out."""
    named = [Keyword(name, value) for name, value in keywords.items() if value is not None]
    return Call(head, (*(argument for argument in arguments if argument is not None), *named))


def listed(items: list[Expression]) -> Call:
    """`[a, b, ...]`."""
    return Call("", tuple(items), "[]")


def lines(expression: Expression, indent: int, before: str = "", after: str = "") -> list[str]:
    """The expression between `before` and `after`, behind `indent` spaces."""
    margin = " " * indent
    if isinstance(expression, Keyword):
        return lines(expression.value, indent, f"{before}{expression.name}=", after)
    if indent + len(before) + len(str(expression)) + len(after) <= WIDTH:
        return [f"{margin}{before}{expression}{after}"]
    if isinstance(expression, str) or not expression.arguments:
        return [f"{margin}{before}{expression}{after}"]
    first, last = (
        f"{margin}{before}{expression.head}{expression.brackets[0]}",
        f"{margin}{expression.brackets[1]}{after}",
    )
    inner = ", ".join(map(str, expression.arguments))
    if indent + 4 + len(inner) <= WIDTH:
        return [first, f"{margin}    {inner}", last]
    found = [line for argument in expression.arguments for line in lines(argument, indent + 4, after=",")]
    return [first, *found, last]
