"""Whether a cut changes what a sub-block computes: run it with and without, on random weights and random maps.

The weights are random everywhere, never those that a layer starts with: a relative position bias starts at zero and
does nothing at first, and yet is no node to take out. All is computed in double precision, so that what is equal agrees
to EXACT and what is only small does not. Maps have small sides, of which masks know nothing: a mask acts in a trial
exactly if it acts on the map that the stage has.

Nodes with parameters of their own are looked at once more, as layers start (`absorbed`): a norm behind a norm, and a
factor of 1 behind a convolution, give nothing that the layer beside them cannot give.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from torch import Tensor, nn

from ..compiler.init import without_initialisation
from ..genotype import INPUT, OUTPUT, BlockGraph, Ref
from ..ops import Dropout, LayerScale, Mask, Op, Size, Value
from .tidy_parts import Sources

EXACT = 1e-9
"""Largest relative difference of outputs, in double precision, that is rounding."""
SCALED = ("conv", "scale")
"""Roles of operations whose weights can take over a factor for each channel, of what comes in or of what goes out."""


@dataclass(frozen=True)
class Setting:
    """How one trial runs."""

    side: Size
    """Height and width of the map."""
    gain: float
    """Of the random weights; small ones keep sigmoids and softmaxes from saturating."""
    train: bool


SETTINGS = (Setting((9, 8), 1.0, True), Setting((10, 12), 0.3, False))
"""Trials for each seed."""
BATCH = 2


class Trials:
    """Runs of one graph that its cuts are compared with.

    Args:
        graph: a flattened sub-block.
        width: channels of the stage.
        before: the operation whose output the sub-block reads, where that is known: behind a ReLU there are no
            negative numbers.
        extent: the largest height and width for which a mask must do nothing to count as doing nothing.
        seeds: of weights and maps.
    """

    def __init__(self, graph: BlockGraph, width: int, before: Op | None, extent: Size, seeds: Sequence[int]) -> None:
        self.graph, self.width, self.before, self.extent = graph, width, before, extent
        self._plan = [(seed, setting) for seed in seeds for setting in SETTINGS]
        self._runs: list[_Run] = []

    def difference(self, sources: Sources) -> float:
        """The largest relative difference of outputs when the graph is wired like `sources`; as soon as one trial shows
        more than EXACT, that one."""
        worst = 0.0
        for index in range(len(self._plan)):
            if index == len(self._runs):
                self._runs.append(self._start(*self._plan[index]))
            worst = max(worst, self._runs[index].difference(sources))
            if worst > EXACT:
                break
        return worst

    @torch.no_grad()
    def _start(self, seed: int, setting: Setting) -> _Run:
        generator = torch.Generator().manual_seed(seed)
        bands = _bands(self.graph, self.width, self.extent)
        with without_initialisation():
            modules = {
                node: _module(self.graph.ops[node], self.graph.inputs_of(node, self.width), bands.get(node))
                for node in self.graph.flow_order
            }
            entry = self.before.build((Value(self.width),)) if self.before else nn.Identity()
        for module in (entry, *modules.values()):
            _randomise(module, setting.gain, generator)
            module.train(setting.train)
        x = entry(_map((BATCH, self.width, *setting.side), generator))
        return _Run(self.graph, modules, x)


class _Run:
    """One graph with weights and a map."""

    def __init__(self, graph: BlockGraph, modules: Mapping[str, nn.Module], x: Tensor) -> None:
        self.graph, self.modules = graph, modules
        self.values: dict[Ref, Tensor] = {Ref(INPUT): x}
        self.values = self._evaluate(graph.sources)

    def difference(self, sources: Sources) -> float:
        """Relative difference of the outputs of this graph and of the one wired like `sources`."""
        found = self._evaluate(sources)[sources[OUTPUT][0]]
        return relative_difference(self.values[self.graph.sources[OUTPUT][0]], found)

    @torch.no_grad()
    def _evaluate(self, sources: Sources) -> dict[Ref, Tensor]:
        """The value of every port; what the wiring leaves as it was is not computed again."""
        live = _live(sources)
        x = self.values[Ref(INPUT)]
        found = {Ref(INPUT): x}
        for node in self.graph.flow_order:  # cuts let nodes read earlier ones, so this stays an order of the flow
            if node not in live:
                continue
            inputs = [found[ref] for ref in sources[node]]
            known = [self.values.get(ref) for ref in self.graph.sources[node]]
            ports = [Ref(node, port) for port in range(self.graph.ops[node].outputs)]
            if ports[0] in self.values and len(known) == len(inputs) and all(a is b for a, b in zip(inputs, known)):
                found.update((port, self.values[port]) for port in ports)
                continue
            if self.graph.ops[node].needs_reference:
                inputs.append(x)
            outputs = self.modules[node](*inputs)
            found.update(zip(ports, outputs if isinstance(outputs, tuple) else (outputs,)))
        return found


def _live(sources: Sources) -> set[str]:
    seen, frontier = {OUTPUT}, [OUTPUT]
    while frontier:
        for ref in sources[frontier.pop()]:
            if ref.node != INPUT and ref.node not in seen:
                seen.add(ref.node)
                frontier.append(ref.node)
    return seen


def relative_difference(expected: Tensor, found: Tensor) -> float:
    """The largest difference against the largest value expected; infinite where numbers are not finite."""
    if expected.shape != found.shape:
        return math.inf
    difference, largest = float((expected - found).abs().max()), float(expected.abs().max())
    if not math.isfinite(difference) or not math.isfinite(largest):
        return math.inf
    return difference / largest if largest else (math.inf if difference else 0.0)


class _KeepsAll(nn.Module):
    """A mask that reaches over the whole map."""

    def forward(self, x: Tensor, reference: Tensor) -> Tensor:
        return x


def _module(op: Op, inputs: tuple[Value, ...], band: int | None) -> nn.Module:
    """The module that stands for an operation in a trial. Dropout is what it is when a network is used: nothing."""
    if isinstance(op, Dropout):
        return nn.Identity()
    if isinstance(op, Mask):
        return _KeepsAll() if band is None else replace(op, band=band).build(inputs)
    return op.build(inputs)


def _bands(graph: BlockGraph, width: int, extent: Size) -> dict[str, int]:
    """The band in a trial of every mask that acts at `extent`; it acts on the maps of the trials too, and of two masks
    the narrower one stays the narrower."""
    masks = {node: op for node, op in graph.ops.items() if isinstance(op, Mask)}
    grids = {node: graph.inputs_of(node, width)[0].grid for node in masks}
    acting = {node: op.band for node, op in masks.items() if op.band < max(grids[node].extent(extent)) - 1}
    found = {}
    for node, band in acting.items():
        wider = {other for name, other in acting.items() if grids[name] is grids[node] and other > band}
        smallest = min(max(grids[node].extent(setting.side)) for setting in SETTINGS)
        found[node] = max(0, min(band, smallest - 2 - len(wider)))
    return found


@torch.no_grad()
def _randomise(module: nn.Module, gain: float, generator: torch.Generator) -> None:
    """Weights and running statistics in general position, in double precision; nothing moves the statistics."""
    module.double()
    for name, parameter in module.named_parameters():
        drawn = torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
        if parameter.dim() > 1:
            parameter.copy_(drawn * gain / math.sqrt(parameter[0].numel()))
        else:
            parameter.copy_(0.5 * drawn + (1.0 if name.endswith("weight") else 0.0))
    for child in module.modules():
        if isinstance(child, nn.BatchNorm2d) and child.running_mean is not None and child.running_var is not None:
            child.momentum = 0.0
            child.running_mean.normal_(0.0, 0.5, generator=generator)
            child.running_var.uniform_(0.5, 2.0, generator=generator)


def _map(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """A map B x C x H x W whose channels have means and deviations of their own, in double precision."""

    def drawn(*sides: int) -> Tensor:
        return torch.randn(sides, generator=generator, dtype=torch.float64)

    deviations = torch.rand(1, shape[1], 1, 1, generator=generator, dtype=torch.float64) + 0.5
    return drawn(*shape) * deviations + 0.5 * drawn(1, shape[1], 1, 1)


def absorbed(graph: BlockGraph, node: str, width: int, before: Op | None, tolerance: float) -> float | None:
    """The relative difference of outputs that comes from taking out a node whose parameters its neighbours make up for,
    as layers start; None where it is not such a node.

    - A norm beside a norm that leaves nothing to normalise. At the start the two compute what one of them computes; the
      factors and shifts that the other learns, the one that stays can learn.
    - A layer scale that starts at 1, behind or before layers whose weights take over any factor.
    """
    op, (source,) = graph.ops[node], graph.sources[node][:1]
    readers = [reader for reader, refs in graph.sources.items() if any(ref.node == node for ref in refs)]
    producer = before if source.node == INPUT else graph.ops[source.node]
    following = [graph.ops.get(reader) for reader in readers]  # None for the output
    roles = {other.role if other else None for other in following}
    if op.role == "norm":
        value = graph.inputs_of(node, width)[0]
        if producer is not None and producer.role == "norm":
            difference = _norms_differ(producer, op, value, False)
            if difference <= tolerance:
                return difference
        if roles == {"norm"}:
            difference = max(_norms_differ(op, other, value, True) for other in following if other is not None)
            if difference <= tolerance:
                return difference
    elif isinstance(op, LayerScale) and op.init == 1.0:
        alone = sum(ref == source for refs in graph.sources.values() for ref in refs) == 1
        behind = alone and source.node != INPUT and producer is not None and producer.role in (*SCALED, "norm")
        if behind or roles <= set(SCALED):
            return 0.0
    return None


@lru_cache(maxsize=1024)
@torch.no_grad()
def _norms_differ(first: Op, second: Op, value: Value, drop_first: bool) -> float:
    """Relative difference between two norms in sequence, as they start, and one of them alone."""
    generator = torch.Generator().manual_seed(0)
    one, two = first.build((value,)).double(), second.build((value,)).double()
    x = _map((BATCH, value.channels, *value.grid.extent(SETTINGS[0].side)), generator)
    return relative_difference(two(one(x)), two(x) if drop_first else one(x))
