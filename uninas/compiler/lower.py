"""Block graph -> torch.fx.GraphModule: one module and one fx node for each operation, named by the node's id.

The fx graph is written by hand, in canonical order, so equal graphs give parameters in equal order. Every fx node
carries its operation and its values in `meta` (`passes.values`), which is all that the passes look at.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence

from torch import fx, nn

from ..genotype import INPUT, OUTPUT, BlockGraph, Ref
from .passes import PASSES, Pass, run_passes


def lower(graph: BlockGraph, channels: int, passes: Sequence[Pass] = PASSES) -> fx.GraphModule:
    """A module for an input of B x channels x H x W, any B, H and W; dead nodes are left out.

    Args:
        passes: rewrites to apply; `()` gives the plain lowering, one call an operation.

    Returns:
        A module whose `meta["rewrites"]` says how often each pass rewrote something.

    Raises:
        GenotypeError: the graph does not fit `channels`.
        PassError: a pass left a graph that does not fit together.
    """
    values = graph.infer(channels)
    root, code = nn.Module(), fx.Graph()
    ports: dict[Ref, fx.Node] = {Ref(INPUT): code.placeholder("x")}
    ports[Ref(INPUT)].meta["values"] = (values[Ref(INPUT)],)
    used = {ref for node in (*graph.live, OUTPUT) for ref in graph.sources[node]}
    for name in graph.canonical_order:
        if name not in graph.live:  # dead-node elimination
            continue
        op, inputs = graph.ops[name], graph.inputs_of(name, channels)
        root.add_module(name, op.module(inputs))
        args = [ports[ref] for ref in graph.sources[name]]
        if op.needs_reference:
            args.append(ports[Ref(INPUT)])
        node = code.call_module(name, tuple(args))
        node.meta.update(op=op, inputs=inputs, values=tuple(values[Ref(name, port)] for port in range(op.outputs)))
        ports[Ref(name)] = node
        if op.outputs > 1:
            for ref in (Ref(name, port) for port in range(op.outputs) if Ref(name, port) in used):
                ports[ref] = code.call_function(operator.getitem, (node, ref.port))
                ports[ref].meta["values"] = (values[ref],)
    code.output(ports[graph.sources[OUTPUT][0]]).meta["values"] = (values[Ref(INPUT)],)
    code.owning_module = root  # type: ignore[assignment]  # where passes look modules up; code is generated once, at the end
    rewrites = run_passes(code, passes)
    module = fx.GraphModule(root, code, class_name="SubBlockGraph")
    names = [name for name in root._modules if name in module._modules]
    module._modules = {name: module._modules[name] for name in names}  # parameters in the order of the plain graph
    module.meta["rewrites"] = rewrites
    return module
