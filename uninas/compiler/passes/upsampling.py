"""Keeps what is constant over positions on one position for as long as it stays so.

f(upsample(x))             ->  upsample(f(x))           f elementwise
multiply(a, upsample(x))   ->  multiply(a, x)           broadcast; the sigmoid runs once a channel
add(a, upsample(x))        ->  add(a, x)
"""

from __future__ import annotations

from torch import fx

from ...ops import GELU, Add, Hardswish, Multiply, ReLU, Sigmoid, SiLU, Upsample
from .edit import op_of

ELEMENTWISE = (GELU, ReLU, SiLU, Hardswish, Sigmoid)


def sink_upsampling(graph: fx.Graph) -> None:
    """Applies the three rules until nothing changes."""
    while any(_sink(node) for node in list(graph.nodes) if isinstance(op_of(node), Upsample)):
        graph.eliminate_dead_code()


def _sink(upsample: fx.Node) -> bool:
    point = upsample.args[0]
    for user in list(upsample.users):
        op = op_of(user)
        if isinstance(op, ELEMENTWISE) and len(upsample.users) == 1:
            user.replace_all_uses_with(upsample)
            user.update_arg(0, point)
            upsample.update_arg(0, user)
            user.append(upsample)
            return True
        if isinstance(op, (Add, Multiply)):
            wide = [arg for arg in user.args if not isinstance(op_of(arg), Upsample)]
            # Someone must still be wide, and must come first, where the shape of the result is taken from.
            if wide and user.args[0] in wide:
                user.replace_input_with(upsample, point)  # type: ignore[arg-type]
                return True
    return False
