"""Keeps what is constant over positions on one position for as long as it stays so.

f(upsample(x))      ->  upsample(f(x))     f elementwise
f(a, upsample(x))   ->  f(a, x)            f broadcasts: sums, products, and gates, whose sigmoid runs once a channel
"""

from __future__ import annotations

from torch import fx

from ...ops import Upsample
from .edit import op_of
from .values import infer_node


def sink_upsampling(graph: fx.Graph) -> int:
    """Applies the two rules until nothing changes."""
    count = 0
    while any(_sink(node) for node in list(graph.nodes) if isinstance(op_of(node), Upsample)):
        graph.eliminate_dead_code()
        count += 1
    return count


def _sink(upsample: fx.Node) -> bool:
    point = upsample.args[0]
    for user in list(upsample.users):
        op = op_of(user)
        if op is None:
            continue
        if op.elementwise and len(upsample.users) == 1:
            user.replace_all_uses_with(upsample)
            user.update_arg(0, point)
            upsample.update_arg(0, user)
            user.append(upsample)
            infer_node(user)
            infer_node(upsample)
            return True
        if op.broadcasts:
            wide = [arg for arg in user.args if not isinstance(op_of(arg), Upsample)]
            # Someone must still be wide, and must come first, where the shape of the result is taken from.
            if wide and user.args[0] in wide:
                user.replace_input_with(upsample, point)  # type: ignore[arg-type]
                infer_node(user)
                return True
    return False
