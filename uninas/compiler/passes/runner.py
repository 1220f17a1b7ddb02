"""Runs passes, and checks the graph after each that changed it: one that breaks a graph fails where it stands."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import fx

from ...errors import GenotypeError, PassError
from .values import infer_node

Pass = Callable[[fx.Graph], int]
"""Rewrites a graph in place, with helpers added to its owning module; keeps the numbers and the parameters. It gives
the number of rewrites: 0 where it found nothing to do."""


def run_passes(graph: fx.Graph, passes: Sequence[Pass]) -> dict[str, int]:
    """Applies `passes` in order; how often each of them rewrote something, by its name.

    After a pass that rewrote something the values at every node are inferred anew, and the graph is linted.

    Raises:
        PassError: a pass raised an error of the graph's, left one that does not fit together, or gave no number.
    """
    rewrites: dict[str, int] = {}
    for rewrite in passes:
        name = getattr(rewrite, "__name__", repr(rewrite))
        try:
            count = rewrite(graph)
        except (GenotypeError, RuntimeError) as problem:  # of `insert_call`, of torch.fx
            raise PassError(name, None, str(problem)) from problem
        if type(count) is not int or count < 0:
            raise PassError(name, None, f"expected the number of rewrites, 0 for none, got {count!r}")
        if count:
            _check(graph, name)
        rewrites[name] = rewrites.get(name, 0) + count
    return rewrites


def _check(graph: fx.Graph, name: str) -> None:
    """Infers all values and lints."""
    seen: set[fx.Node] = set()
    for node in graph.nodes:
        for source in node.all_input_nodes:
            if source not in seen:
                raise PassError(name, node.name, f"reads {source.name}, which does not come before it")
        try:
            infer_node(node)
        except GenotypeError as problem:
            raise PassError(name, node.name, str(problem)) from problem
        seen.add(node)
    try:
        graph.lint()
    except RuntimeError as problem:
        raise PassError(name, None, str(problem)) from problem
