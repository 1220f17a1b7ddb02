"""Block graph -> torch.fx.GraphModule: one module and one fx node for each operation, named by the node's id.

The fx graph is written by hand, in canonical order, so equal graphs give parameters in equal order. Every fx node
carries its operation and its input values in `meta`, which is all that the passes look at.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence

from torch import fx, nn

from ..genotype import INPUT, OUTPUT, BlockGraph, Ref
from .passes import PASSES

Pass = Callable[[fx.GraphModule], None]
"""Rewrites a graph module in place, keeping its numbers and its parameters."""


def lower(graph: BlockGraph, channels: int, passes: Sequence[Pass] = PASSES) -> fx.GraphModule:
    """A module for an input of B x channels x H x W, any B, H and W; dead nodes are left out.

    Args:
        passes: rewrites to apply; `()` gives the plain lowering, one call an operation.

    Raises:
        GenotypeError: the graph does not fit `channels`.
    """
    graph.infer(channels)
    root, code = nn.Module(), fx.Graph()
    ports: dict[Ref, fx.Node] = {Ref(INPUT): code.placeholder("x")}
    used = {ref for node in (*graph.live, OUTPUT) for ref in graph.sources[node]}
    for name in graph.canonical_order:
        if name not in graph.live:  # dead-node elimination
            continue
        op, inputs = graph.ops[name], graph.inputs_of(name, channels)
        root.add_module(name, op.build(inputs))
        args = [ports[ref] for ref in graph.sources[name]]
        if op.needs_reference:
            args.append(ports[Ref(INPUT)])
        node = code.call_module(name, tuple(args))
        node.meta.update(op=op, inputs=inputs)
        ports[Ref(name)] = node
        if op.outputs > 1:
            for ref in (Ref(name, port) for port in range(op.outputs) if Ref(name, port) in used):
                ports[ref] = code.call_function(operator.getitem, (node, ref.port))
    code.output(ports[graph.sources[OUTPUT][0]])
    module = fx.GraphModule(root, code, class_name="SubBlockGraph")
    for rewrite in passes:
        rewrite(module)
    code.lint()
    module.recompile()
    return module
