"""Canonical labelling of small labelled multigraphs, exact.

Colours are refined until nodes of one colour look alike from everywhere; where colours are not enough, one node of the
first ambiguous colour is singled out and refinement goes on, for every choice that is not symmetric to one already
tried. The smallest edge list found is the canonical one. (Individualisation and refinement, as in McKay and Piperno,
"Practical graph isomorphism II", 2014.) A Weisfeiler-Lehman hash alone would call some different graphs equal.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

Edge = tuple[int, int, int, int]
"""(producer, output port, consumer, input port)"""


def canonical_order(labels: Sequence[str], edges: Sequence[Edge]) -> tuple[list[int], list[Edge]]:
    """Nodes in canonical order, and the edges in that order's numbering, sorted.

    Two graphs are isomorphic exactly when their labels in canonical order and these edges are equal.
    """
    return _Labelling(labels, edges).run()


class _Labelling:
    def __init__(self, labels: Sequence[str], edges: Sequence[Edge]) -> None:
        self.size = len(labels)
        self.edges = edges
        self.neighbours: list[list[tuple[int, int]]] = [[] for _ in labels]
        # The end of an edge and its ports, as one number that compares alike in every graph.
        ports = 1 + max((max(out, into) for _, out, _, into in edges), default=0)
        for producer, out, consumer, into in edges:
            code = out * ports + into
            self.neighbours[producer].append((consumer, 2 * code))
            self.neighbours[consumer].append((producer, 2 * code + 1))
        ranks = {label: rank for rank, label in enumerate(sorted(set(labels)))}
        self.start = [ranks[label] for label in labels]
        self.best: list[Edge] | None = None
        self.best_order: list[int] = []
        self.automorphisms: list[list[int]] = []

    def run(self) -> tuple[list[int], list[Edge]]:
        self.search(self.refine(self.start), [])
        return self.best_order, self.best or []

    def refine(self, colours: list[int]) -> list[int]:
        """Splits colours by the colours around them until nothing changes; the numbering depends on structure only."""
        count = len(set(colours))
        while True:
            signatures = [
                (colours[node], sorted([(colours[other], code) for other, code in self.neighbours[node]]))
                for node in range(self.size)
            ]
            order = sorted(range(self.size), key=signatures.__getitem__)
            refined = [0] * self.size
            rank = 0
            for previous, node in pairwise(order):
                if signatures[node] != signatures[previous]:
                    rank += 1
                refined[node] = rank
            if rank + 1 == count:
                return refined
            colours, count = refined, rank + 1

    def search(self, colours: list[int], singled_out: list[int]) -> None:
        cell = self.first_ambiguous_cell(colours)
        if cell is None:
            self.leaf(colours)
            return
        tried: list[int] = []
        for node in cell:
            if tried and self.symmetric(node, tried, singled_out):
                continue
            split = [2 * colour + 1 for colour in colours]
            split[node] -= 1
            self.search(self.refine(split), [*singled_out, node])
            tried.append(node)

    @staticmethod
    def first_ambiguous_cell(colours: list[int]) -> list[int] | None:
        cells: dict[int, list[int]] = {}
        for node, colour in enumerate(colours):
            cells.setdefault(colour, []).append(node)
        return min(((c, cell) for c, cell in cells.items() if len(cell) > 1), default=(0, None))[1]

    def leaf(self, colours: list[int]) -> None:
        """Every node has a colour of its own: a complete numbering, to be compared with the best."""
        edges = sorted((colours[a], out, colours[b], into) for a, out, b, into in self.edges)
        order = sorted(range(self.size), key=colours.__getitem__)
        if self.best is None or edges < self.best:
            self.best, self.best_order = edges, order
        elif edges == self.best:
            mapping = [0] * self.size
            for ours, theirs in zip(self.best_order, order):
                mapping[ours] = theirs
            self.automorphisms.append(mapping)

    def symmetric(self, node: int, tried: list[int], singled_out: list[int]) -> bool:
        """Whether a known automorphism that keeps `singled_out` leads from a tried node to this one."""
        kept = [mapping for mapping in self.automorphisms if all(mapping[v] == v for v in singled_out)]
        orbit, frontier = set(tried), list(tried)
        while frontier:
            current = frontier.pop()
            for mapping in kept:
                for other in (mapping[current], mapping.index(current)):
                    if other not in orbit:
                        orbit.add(other)
                        frontier.append(other)
        return node in orbit
