"""All commands of `uninas`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from typer.main import get_command

from uninas.cli import app


def commands(group: Any = None, path: str = "") -> Iterator[tuple[str, Any]]:
    """(words that call it, command) of every command."""
    group = group or get_command(app)
    for name, command in group.commands.items():
        words = f"{path} {name}".strip()
        if hasattr(command, "commands"):
            yield from commands(command, words)
        else:
            yield words, command
