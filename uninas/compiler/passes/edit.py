"""Small helpers that the passes share."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from torch import fx, nn

from ...ops import Op
from .rules import Rule
from .values import infer_node


def op_of(node: Any) -> Op | None:
    """The operation of the alphabet that an fx node stands for, if it stands for one."""
    found = node.meta.get("op") if isinstance(node, fx.Node) else None
    return found if isinstance(found, Op) else None


def called_module(node: fx.Node) -> nn.Module | None:
    """The module that a node calls, if it calls one."""
    module: Any = node.graph.owning_module
    return module.get_submodule(node.target) if node.op == "call_module" else None


def used_once(node: fx.Node) -> bool:
    """Whether the node has one user."""
    return len(node.users) == 1


def insert_call(before: fx.Node, name: str, child: nn.Module, args: Sequence[Any], rule: Rule) -> fx.Node:
    """Calls a new parameterless helper, registered under a free name that starts with `name`, just before a node.

    Args:
        rule: what the values of the call follow from: the operation that it stands for, or a rule of `rules`.

    Raises:
        GenotypeError: the arguments do not fit the rule.
    """
    graph = before.graph
    module: Any = graph.owning_module
    number, target = 1, name
    while hasattr(module, target):
        number += 1
        target = f"{name}_{number}"
    module.add_module(target, child)
    return insert_again(before, target, args, rule)


def insert_again(before: fx.Node, target: str, args: Sequence[Any], rule: Rule) -> fx.Node:
    """Calls a module that is there, just before a node; raises as `insert_call` does."""
    with before.graph.inserting_before(before):
        node = before.graph.call_module(target, tuple(args))
    node.meta["op"] = rule
    infer_node(node)
    return node


def insert_port(before: fx.Node, source: fx.Node, port: int) -> fx.Node:
    """Reads one of several outputs of `source`, just before a node."""
    with before.graph.inserting_before(before):
        node = before.graph.call_function(operator.getitem, (source, port))
    infer_node(node)
    return node


def as_argument(call: fx.Node, before: fx.Node | None = None) -> fx.Node:
    """The module that `call` calls, as a value in the graph, before a node or else in the call's place: parameters keep
    order and names."""
    with call.graph.inserting_before(before or call):
        node = call.graph.get_attr(str(call.target))
    infer_node(node)
    return node
