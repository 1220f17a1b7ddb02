"""Small helpers that the passes share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import fx, nn

from ...ops import Op


def op_of(node: Any) -> Op | None:
    """The operation that an fx node stands for, if it stands for one."""
    return node.meta.get("op") if isinstance(node, fx.Node) else None


def called_module(node: fx.Node) -> nn.Module | None:
    """The module that a node calls, if it calls one."""
    module: Any = node.graph.owning_module
    return module.get_submodule(node.target) if node.op == "call_module" else None


def used_once(node: fx.Node) -> bool:
    """Whether the node has one user."""
    return len(node.users) == 1


def insert_call(before: fx.Node, name: str, child: nn.Module, args: Sequence[Any]) -> fx.Node:
    """Calls a new parameterless helper, registered under a free name that starts with `name`, just before a node."""
    graph = before.graph
    module: Any = graph.owning_module
    number, target = 1, name
    while hasattr(module, target):
        number += 1
        target = f"{name}_{number}"
    module.add_module(target, child)
    with graph.inserting_before(before):
        return graph.call_module(target, tuple(args))


def as_argument(call: fx.Node) -> fx.Node:
    """The module that `call` calls, as a value in the graph, in the call's place: parameters keep order and names."""
    with call.graph.inserting_before(call):
        return call.graph.get_attr(str(call.target))
