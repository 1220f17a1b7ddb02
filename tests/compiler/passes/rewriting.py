"""What tests of passes share: plain and rewritten networks compared, and graphs to write."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, fx, nn

from uninas.compiler import PASSES, lower
from uninas.compiler.init import initialise
from uninas.genotype import BlockGraph, GraphBuilder, Ref

CHANNELS = 12
CONV3 = ("conv", {"kernel": 3})


def lowered(graph: BlockGraph, channels: int, passes, dtype: torch.dtype) -> fx.GraphModule:
    """With weights that depend on the seed alone, norms and biases included."""
    module = lower(graph, channels, passes)
    initialise(module, 0)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return module.to(dtype)


def run(module: fx.GraphModule, x: Tensor) -> dict[str, Tensor | None]:
    """Output, and gradients of a random projection of it."""
    module.zero_grad()
    x = x.clone().requires_grad_()
    y = module(x)
    weights = torch.randn(y.shape, generator=torch.Generator().manual_seed(2)).to(y)
    (y * weights).sum().backward()
    return {"output": y.detach(), "input": x.grad, **{name: p.grad for name, p in module.named_parameters()}}


def assert_same(graph: BlockGraph, channels: int = CHANNELS, passes=PASSES) -> fx.GraphModule:
    """Plain and rewritten agree in double precision, in training and in evaluation, at two sizes; gives the latter."""
    plain, rewritten = (lowered(graph, channels, p, torch.float64) for p in ((), passes))
    assert [(n, p.shape) for n, p in plain.named_parameters()] == [
        (n, p.shape) for n, p in rewritten.named_parameters()
    ]
    assert list(plain.state_dict()) == list(rewritten.state_dict())
    for training, size in ((True, (4, 4)), (False, (3, 5))):
        x = torch.randn(2, channels, *size, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
        expected, found = run(plain.train(training), x), run(rewritten.train(training), x)
        for name, value in expected.items():
            if value is None:
                assert found[name] is None, name
            else:
                torch.testing.assert_close(
                    found[name], value, rtol=1e-5, atol=1e-5 * float(1 + value.abs().max()), msg=name
                )
        with torch.no_grad():
            torch.testing.assert_close(rewritten(x), plain(x), rtol=1e-9, atol=1e-9)
    rewritten.graph.lint()
    return rewritten


def assert_same_in_float(graph: BlockGraph, channels: int = CHANNELS, passes=PASSES) -> None:
    plain, rewritten = (lowered(graph, channels, p, torch.float32) for p in ((), passes))
    x = torch.randn(2, channels, 4, 4, generator=torch.Generator().manual_seed(3))
    expected, found = run(plain, x), run(rewritten, x)
    for name, value in expected.items():
        if value is not None:
            scale = float(1 + value.abs().max())
            torch.testing.assert_close(found[name], value, rtol=1e-5, atol=1e-5 * scale, msg=name)


def calls(module: fx.GraphModule, kind: type[nn.Module]) -> int:
    """How many calls of such modules the graph makes."""
    nodes = [node for node in module.graph.nodes if node.op == "call_module"]
    return sum(isinstance(module.get_submodule(str(node.target)), kind) for node in nodes)


def written(module: fx.GraphModule) -> list[str]:
    """The calls of the graph, in order."""
    nodes = [node for node in module.graph.nodes if node.op == "call_module"]
    return [type(module.get_submodule(str(node.target))).__name__ for node in nodes]


Write = Callable[[GraphBuilder, Ref], Ref]


def graph_of(write: Write) -> BlockGraph:
    b = GraphBuilder()
    return b.build(write(b, b.input))


def attend(b: GraphBuilder, x: Ref, *between, heads: int = 2, values: str | None = "conv", softmax: bool = True) -> Ref:
    """Self-attention with operations `between` affinities and softmax."""
    q, k = b.add("conv", x, kernel=3), b.add("dwconv", x)
    v = b.add(values, x) if values else x
    a = b.chain(b.add("matmul1", q, k, heads=heads), *between)
    a = b.add("softmax", a, id=f"softmax_{len(b.ops)}") if softmax else a
    return b.add("matmul2", a, v, heads=heads)


BIAS = ("rel_pos_bias", {"size": 3})
EXCLUDE = ("mask", {"band": 3, "fill": "exclude"})
ZERO = ("mask", {"band": 3})
