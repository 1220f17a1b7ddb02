"""Where a backward pass squeezes through one tensor.

Behind the last tap of a network, gradients of all classes can go back side by side: nothing is read there, and the
maps are small, so that one product with many rows replaces many products with few. That tail ends at a *narrow*: an
edge of the autograd graph that every path from the output to a tap crosses.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Set

from torch import Tensor
from torch.autograd.graph import GradientEdge, Node, get_gradient_edge


def dominator_edge(output: Tensor, taps: Set[Node]) -> GradientEdge | None:
    """The narrow that is farthest from `output` with no tap between, or at it; None where there is none.

    Args:
        output: the end of the forward pass.
        taps: nodes at which gradients are read. Every leaf of the graph lies behind one.
    """
    start = get_gradient_edge(output)
    waiting = _fan_in(start.node)
    entries: dict[Node, set[int]] = {start.node: {start.output_nr}}  # reached, not yet passed
    found = None
    ready = [start.node]
    while ready:
        node = ready.pop()
        if node in taps:
            return found
        outputs = entries.pop(node)
        if not entries and len(outputs) == 1 and node is not start.node:
            found = GradientEdge(node, outputs.pop())
        for following, output_nr in node.next_functions:
            if following is not None:
                entries.setdefault(following, set()).add(output_nr)
                waiting[following] -= 1
                if not waiting[following]:
                    ready.append(following)
    return found


def _fan_in(start: Node) -> Counter[Node]:
    """How many edges lead to each node that can be reached."""
    count: Counter[Node] = Counter()
    stack, seen = [start], {start}
    while stack:
        for following, _ in stack.pop().next_functions:
            if following is not None:
                count[following] += 1
                if following not in seen:
                    seen.add(following)
                    stack.append(following)
    return count
