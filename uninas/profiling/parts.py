"""The operations of a network where they stand: stage, kind, cost, and the module that the compiler made of each.

Kinds are roles of operations (`Op.role`), with two exceptions: a depthwise convolution is one of its own, and what
works on query-key affinities - the two products, and all between them - is attention, which the compiler may run as one
call.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ..genotype import Block, Downsample, Genotype, SubBlock
from ..genotype.graph import Ref
from ..ops import DepthwiseConv, Grid, Op, Size, Value
from ..ops.composite import AttentionLayer, SqueezeExciteLayer
from ..ops.layers import (
    ConvLayer,
    FloorHalvingPool,
    GlobalPoolLayer,
    HalvingPool,
    Layer,
    LinearLayer,
    OpLayer,
    StridedMaxPool,
    size_behind,
)

KINDS = {
    "conv": "convolution",
    "dwconv": "depthwise convolution",
    "linear": "linear",
    "attention": "attention",
    "squeeze-excite": "squeeze-excite of the frame",
    "norm": "norm",
    "activation": "activation",
    "pool": "pool",
    "merge": "merge",
    "scale": "layer scale",
    "mask": "mask",
    "dropout": "dropout",
    "other": "other",
    "between": "between operations",
}
"""Each kind in words. `other` only moves data around (chunk, upsample); `between` is what a measured pass spends beside
operations: sums with shortcuts, Python, and the clocks."""


class Part(NamedTuple):
    """An operation of a block's graph, or a layer of the frame."""

    stage: str
    """`stem`, `stage 1`, ..., `head`."""
    kind: str
    """A key of KINDS."""
    path: str
    """Of its module in the compiled network. Passes may leave it uncalled: see `clocks`."""
    params: int
    macs: int
    """Of one image."""


def stages_of(genotype: Genotype) -> tuple[str, ...]:
    """Names of stages, in order."""
    return "stem", *(f"stage {i + 1}" for i in range(len(genotype.stages))), "head"


def parts(genotype: Genotype, size: Size, classes: int) -> Iterator[Part]:
    """All parts of a network, whose costs sum to those of `uninas.cost`.

    Raises:
        GenotypeError: an image of `size` is too small for the network.
    """
    names = stages_of(genotype)
    stem = genotype.stem.layers()
    yield from _sequence("stem", "stem", stem, size)
    size, before = size_behind(stem, size), genotype.stem.width
    for i, stage in enumerate(genotype.stages):
        for j, block in enumerate(stage.blocks):
            downsample = stage.downsample if j == 0 else Downsample("none")
            walk = _Walk(names[1 + i], f"stages.{i}.{j}", before, stage.width)
            yield from walk.block(block, downsample, size)
            size, before = size_behind(downsample.main(before, stage.width), size), stage.width
    yield from _sequence("head", "head", genotype.head.layers(before, classes), size)


class _Walk(NamedTuple):
    """Over one block: names of modules are those of `uninas.compiler.network`."""

    stage: str
    path: str
    before: int
    width: int

    def block(self, block: Block, downsample: Downsample, size: Size) -> Iterator[Part]:
        main = downsample.main(self.before, self.width)
        shortcut = downsample.shortcut(self.before, self.width)
        after = size_behind(main, size)
        inside = downsample.inside
        if not inside:
            yield from _sequence(self.stage, f"{self.path}.down", main, size)
            yield from _sequence(self.stage, f"{self.path}.down_shortcut", shortcut, size)
            yield from _sequence(self.stage, f"{self.path}.down_behind", downsample.behind(self.width), after)
        for k, sub in enumerate(block.subblocks):
            path = f"{self.path}.subblocks.{k}"
            if inside and k == 0:
                if sub.residual:
                    yield from _sequence(self.stage, f"{path}.shortcut", shortcut, size)
                yield from self.subblock(path, sub, self.before, main, size, after)
            else:
                yield from self.subblock(path, sub, self.width, [], after, after)

    def subblock(
        self, path: str, sub: SubBlock, before: int, main: list[Layer], size: Size, after: Size
    ) -> Iterator[Part]:
        frame = sub.frame(before, self.width)
        norm, activation = frame[: 1 if sub.norm else 0], frame[1 if sub.norm else 0 :]
        yield from _sequence(self.stage, f"{path}.prepare", [*norm, *main], size)
        values = sub.graph.infer(self.width)
        for node, cost in sub.graph.node_costs(self.width, after).items():
            seen = (*sub.graph.inputs_of(node, self.width), values[Ref(node)])
            yield Part(self.stage, op_kind(sub.graph.ops[node], seen), f"{path}.graph.{node}", cost.params, cost.macs)
        for layer in activation:
            yield Part(self.stage, layer_kind(layer), f"{path}.activation", layer.parameters(), layer.macs(after))


def _sequence(stage: str, path: str, layers: Iterable[Layer], size: Size) -> Iterator[Part]:
    for number, layer in enumerate(layers):
        yield Part(stage, layer_kind(layer), f"{path}.{number}", layer.parameters(), layer.macs(size))
        size = layer.out_size(size)


def op_kind(op: Op, values: Iterable[Value]) -> str:
    """The kind of an operation; `values` are those that go in and come out."""
    if any(value.grid is Grid.PAIR for value in values):
        return "attention"
    return "dwconv" if isinstance(op, DepthwiseConv) else op.role or "other"


def layer_kind(layer: Layer) -> str:
    """The kind of a layer of the frame."""
    if isinstance(layer, OpLayer):
        return op_kind(layer.op, ())
    if isinstance(layer, ConvLayer):
        return "dwconv" if layer.groups > 1 and layer.groups == layer.in_channels else "conv"
    if isinstance(layer, (HalvingPool, FloorHalvingPool, StridedMaxPool, GlobalPoolLayer)):
        return "pool"
    named = {LinearLayer: "linear", AttentionLayer: "attention", SqueezeExciteLayer: "squeeze-excite"}
    return named.get(type(layer), "other")
