"""One sub-block without what changes nothing in it: cuts are tried node by node, and made where nothing changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass

from ..genotype import INPUT, OUTPUT, BlockGraph, SubBlock
from ..ops import Dropout, Mask, Op, Size, Value, make
from .tidy_parts import Cut, Cuts, flatten, pruned, restore, rewired
from .tidy_trials import EXACT, Trials, absorbed


@dataclass(frozen=True)
class Context:
    """What decides, beside a sub-block, what can be cut out of it."""

    width: int
    """Channels of its stage."""
    downsamples: bool
    """Its norm and its graph see different maps."""
    before: Op | None
    """The operation whose output it reads, where that is known."""
    extent: Size
    """Largest height and width for which a mask must do nothing to count as doing nothing."""
    optional: bool
    """It may go as a whole: its stage has another sub-block."""


@dataclass(frozen=True)
class Link:
    """A cut that changes nothing, in a chain of them."""

    cut: Cut
    after: SubBlock | None
    """The sub-block after it; None when the whole sub-block goes."""
    what: str
    """What goes, in words."""
    whole: bool
    """It is the sub-block or part of its frame, not a node of its graph."""
    difference: float
    """Largest relative difference of outputs seen."""


def find_links(
    sub: SubBlock,
    context: Context,
    seeds: Sequence[int],
    tolerance: float,
    barred: Set[Cut] = frozenset(),
    only: Set[Cut] | None = None,
) -> list[Link]:
    """The cuts that change nothing, each after the ones before it, until there is no more.

    Args:
        seeds: of the trials.
        tolerance: largest relative difference between two norms and one of them.
        barred: cuts not to make.
        only: the cuts to choose from; None for all.
    """
    return _Search(sub, context, seeds, tolerance, barred, only).run()


def last_op(sub: SubBlock, width: int) -> Op | None:
    """The operation that a sub-block's output comes from, where it says what values to expect: a norm, or one without
    parameters that keeps the shape."""
    if sub.activation:
        return make(sub.activation)
    node = sub.graph.sources[OUTPUT][0].node
    if sub.residual or node == INPUT:
        return None
    op, inputs = sub.graph.ops[node], (Value(width),)
    if op.arity != 1 or isinstance(op, (Dropout, Mask)) or sub.graph.inputs_of(node, width) != inputs:
        return None
    return op if op.role == "norm" or not op.parameters(inputs) else None


class _Search:
    """Finds the cuts in one sub-block, the last nodes first: a merge that goes takes a useless branch with it."""

    def __init__(
        self,
        sub: SubBlock,
        context: Context,
        seeds: Sequence[int],
        tolerance: float,
        barred: Set[Cut],
        only: Set[Cut] | None,
    ) -> None:
        self.context, self.seeds, self.tolerance = context, seeds, tolerance
        self.barred, self.only = barred, only
        self.part = flatten(sub, context.width, context.downsamples)
        self.graph = self.part.graph
        self.trials = self._trials()

    def run(self) -> list[Link]:
        """All cuts, until no more is found; `graph` is then without them."""
        links: list[Link] = []
        before = -1
        while before < len(links):
            before = len(links)
            for node in self._nodes():
                while node in self.graph.sources and (link := self._link_at(node)) is not None:
                    links.append(link)
                    if link.after is None:
                        return links
        return links

    def _nodes(self) -> list[str]:
        """Where to look, in order. The frame's norm goes before the one norm that follows it, but stays where several
        branches start with a norm."""
        norm = self.part.frame.get("norm")
        readers = sum(ref.node == norm for refs in self.graph.sources.values() for ref in refs)
        return [OUTPUT, *([norm] if norm and readers == 1 else []), *reversed(self.graph.flow_order)]

    def _link_at(self, node: str) -> Link | None:
        """A cut at this node that changes nothing, if there is one."""
        for cut, difference in self._neutral_at(node):
            if cut.node == OUTPUT:
                return Link(cut, None, "subblock", True, difference)
            after = pruned(self.graph.ops, rewired(self.graph.sources, cut))
            sub = restore(self.part, after)
            if sub is not None:
                what, whole = self._described(cut, after)
                self.graph = after
                self.trials = self._trials()  # what one norm learns for two, random weights do not show
                return Link(cut, sub, what, whole, difference)
        return None

    def _neutral_at(self, node: str) -> Iterator[tuple[Cut, float]]:
        """(cut, difference) for the cuts at a node that change nothing."""
        if node == OUTPUT:
            cuts = iter([Cut(OUTPUT)] if self.context.optional else [])
        else:
            cut = Cut(node, self.graph.sources[node][0])
            if self._open(cut):
                difference = absorbed(self.graph, node, self.context.width, self.context.before, self.tolerance)
                if difference is not None:
                    yield cut, difference
            cuts = Cuts(self.graph, self.context.width).at(node)
        for cut in cuts:
            if self._open(cut):
                difference = self.trials.difference(rewired(self.graph.sources, cut))
                if difference <= EXACT:
                    yield cut, difference

    def _trials(self) -> Trials:
        return Trials(self.graph, self.context.width, self.context.before, self.context.extent, self.seeds)

    def _open(self, cut: Cut) -> bool:
        return cut not in self.barred and (self.only is None or cut in self.only)

    def _described(self, cut: Cut, after: BlockGraph) -> tuple[str, bool]:
        """What a cut takes out, in words, and whether it is part of the frame."""
        ops = self.graph.ops
        what, whole = ops[cut.node].name, False
        for role, node in self.part.frame.items():
            if node == cut.node:
                what, whole = f"{role} of the sub-block", True
        if cut.operand is not None:
            what = f"input {cut.operand + 1} of {what}"
        elif cut.to.node in ops and self.graph.sources[cut.to.node] == self.graph.sources[cut.node]:
            what = f"{what} (copy of {cut.to.node})"
        along = [ops[node].name for node in self.graph.flow_order if node not in after.ops and node != cut.node]
        return f"{what} (with {', '.join(along)})" if along else what, whole
