"""The values of a lowered graph: channels and grid at every fx node, in its `meta`.

meta["op"]       the operation that a call stands for, or the `Rule` of a call that a pass wrote
meta["inputs"]   the values of its inputs: of tensors, not of modules and not of the reference
meta["values"]   its output values, one for each port
"""

from __future__ import annotations

import operator
from dataclasses import replace
from typing import Any

from torch import fx

from ...errors import GenotypeError
from ...ops import Grid, Value
from .rules import Rule, Values


def value_of(node: Any) -> Value:
    """The only output value of a node, as last inferred.

    Raises:
        GenotypeError: it has none, or several.
    """
    values = node.meta.get("values", ()) if isinstance(node, fx.Node) else ()
    if len(values) != 1:
        raise GenotypeError(f"{node} has {len(values)} values, where one is read")
    return values[0]


def infer_node(node: fx.Node) -> None:
    """Renews the values of a node from those of the nodes that it reads.

    Raises:
        GenotypeError: they do not fit.
    """
    if node.op == "placeholder":  # given when the graph is lowered
        return
    if node.op == "get_attr":  # a module on its way into a call
        node.meta["values"] = ()
    elif node.op == "output":
        found = value_of(node.args[0])
        before = node.meta.setdefault("values", (found,))[0]
        if found != before:
            raise GenotypeError(f"gives {found}, where {before} was given before")
    elif node.target is operator.getitem:
        source, port = node.args
        ports: Values = source.meta.get("values", ()) if isinstance(source, fx.Node) else ()
        if type(port) is not int or not 0 <= port < len(ports):
            raise GenotypeError(f"reads port {port} of {source}, which has {len(ports)}")
        node.meta["values"] = (ports[port],)
    else:
        rule: Rule | None = node.meta.get("op")
        if rule is None:
            raise GenotypeError('calls something without a rule; give `insert_call` one, or set its meta["op"]')
        node.meta["inputs"] = _inputs(node, rule)
        node.meta["values"] = rule.infer(node.meta["inputs"])


def _inputs(node: fx.Node, rule: Rule) -> Values:
    """The values that a call reads, widened where it broadcasts."""
    args = node.args[:-1] if rule.needs_reference else node.args
    modules = {arg for arg in args if isinstance(arg, fx.Node) and arg.op == "get_attr"}
    read = [value_of(arg) for arg in args if arg is not None and arg not in modules]
    if rule.broadcasts:
        read[1:] = [replace(v, grid=read[0].grid) if v.grid is Grid.POINT else v for v in read[1:]]
    return tuple(read)
