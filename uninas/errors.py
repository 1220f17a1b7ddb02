"""What uninas raises for bad input. Every message names the place, the value, and what to do instead."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UninasError(Exception):
    """Base of every error that uninas raises on purpose; commands print it without a traceback."""

    exit_code = 1
    """Of a command: 2 where the input is at fault."""


class GenotypeError(UninasError):
    """A genotype, a graph or an operation that is not valid.

    Args:
        message: what is wrong and what to do instead.
        path: where, as `stages[2].blocks[0].subblocks[0].graph.nodes[5].kernel`; empty when unknown.
    """

    exit_code = 2

    def __init__(self, message: str, path: str = "") -> None:
        self.message = message
        self.path = path
        super().__init__(f"{path}: {message}" if path else message)

    def under(self, prefix: str) -> GenotypeError:
        """The same error seen from one level further out: its path is put behind `prefix`."""
        if not self.path:
            return type(self)(self.message, prefix)
        joint = "" if self.path.startswith("[") else "."
        return type(self)(self.message, f"{prefix}{joint}{self.path}")


class PassError(UninasError):
    """A rewriting pass that left a graph which does not fit together: a fault of the pass, not of the graph.

    Args:
        name: of the pass.
        node: of the compiled graph, at which it shows; None when it is not known.
        message: what is wrong there.
    """

    def __init__(self, name: str, node: str | None, message: str) -> None:
        self.name = name
        self.node = node
        self.message = message
        super().__init__(f"pass {name}{f', node {node}' if node else ''}: {message}")

    def __reduce__(self) -> tuple:
        return type(self), (self.name, self.node, self.message)


class SpaceError(UninasError):
    """A search-space file or limit that is not valid or cannot be met."""

    exit_code = 2


class ResourceError(UninasError):
    """A search space or a protocol that does not exist, or a file that cannot be read as YAML or JSON."""

    exit_code = 2


class StudyError(UninasError):
    """A study folder that cannot be read, written or continued."""


class ExecutorError(UninasError):
    """Workers that cannot be started or reached."""


class WeightsError(UninasError):
    """A file of weights that cannot be read or written, or does not fit the network."""


class ProxyError(UninasError):
    """A proxy that is unknown, or was given a network or input that it cannot score."""

    exit_code = 2


def kind_of(data: object) -> str:
    """What plain data is, for the end of a message: `list`, `str`; `nothing` for what an empty file holds."""
    return "nothing" if data is None else type(data).__name__


def nearest(word: str, choices: Iterable[str]) -> str:
    """The end of an error message that names the valid choices, the nearest one first."""
    options = sorted(choices)
    close = difflib.get_close_matches(word, options, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}choose from: {', '.join(options)}"
