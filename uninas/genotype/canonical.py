"""Canonical labelling of small labelled multigraphs, exact.

Colours are refined until nodes of one colour look alike from everywhere; where colours are not enough, one node of the
first ambiguous colour is singled out and refinement goes on, for every choice that is not symmetric to one already
tried. The smallest edge list found is the canonical one. (Individualisation and refinement, as in McKay and Piperno,
"Practical graph isomorphism II", 2014.) A Weisfeiler-Lehman hash alone would call some different graphs equal.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

Edge = tuple[int, int, int, int]
"""(producer, output port, consumer, input port)"""


def canonical_order(labels: Sequence[str], edges: Sequence[Edge]) -> tuple[list[int], list[Edge]]:
    """Nodes in canonical order, and the edges in that order's numbering, sorted.

    Two graphs are isomorphic exactly when their labels in canonical order and these edges are equal.
    """
    return _Labelling(labels, edges).run()


class _Leaf(NamedTuple):
    """A complete numbering of the nodes."""

    edges: list[Edge]
    """In that numbering, sorted."""
    order: list[int]
    path: tuple[int, ...]
    """The nodes that were singled out, in order."""


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
        # The colour of a node is the number of nodes of smaller colours, so that splitting a colour leaves the others.
        first_of: dict[str, int] = {}
        for place, label in enumerate(sorted(labels)):
            first_of.setdefault(label, place)
        self.start = [first_of[label] for label in labels]
        self.first: _Leaf | None = None
        self.best: _Leaf | None = None
        self.automorphisms: list[tuple[list[int], list[int]]] = []
        """Each with its inverse."""

    def run(self) -> tuple[list[int], list[Edge]]:
        self.search(self.refine(self.start, range(self.size)), ())
        return (self.best.order, self.best.edges) if self.best else ([], [])

    def refine(self, colours: list[int], changed: Iterable[int]) -> list[int]:
        """Splits colours by the colours around them until nothing changes, starting around the `changed` nodes; the
        numbering depends on structure only."""
        colours, cells = list(colours), self.cells(colours)
        while changed:
            near = {colours[other] for node in changed for other, _ in self.neighbours[node]}
            split: list[tuple[int, list[list[int]]]] = []
            for colour in near:
                if len(cells[colour]) > 1:
                    groups: dict[tuple, list[int]] = {}
                    for node in cells[colour]:
                        around = tuple(sorted([(colours[other], code) for other, code in self.neighbours[node]]))
                        groups.setdefault(around, []).append(node)
                    split.append((colour, [groups[around] for around in sorted(groups)]))
            changed = []
            for colour, (stays, *moved) in split:
                cells[colour] = stays
                colour += len(stays)
                for group in moved:
                    cells[colour] = group
                    changed += group
                    for node in group:
                        colours[node] = colour
                    colour += len(group)
        return colours

    @staticmethod
    def cells(colours: list[int]) -> dict[int, list[int]]:
        """The nodes of each colour."""
        found: dict[int, list[int]] = {}
        for node, colour in enumerate(colours):
            found.setdefault(colour, []).append(node)
        return found

    def search(self, colours: list[int], path: tuple[int, ...]) -> int:
        """Looks at every numbering that singles out `path` first; returns how many of those stay as they are next."""
        ambiguous = [item for item in self.cells(colours).items() if len(item[1]) > 1]
        if not ambiguous:
            return self.leaf(colours, path)
        _, cell = min(ambiguous)
        if self.are_twins(cell):  # any order of them gives the same
            return self.search(self.single_out(cell, cell, colours), (*path, *cell))
        tried: list[int] = []
        for node in cell:
            if tried and self.symmetric(node, tried, path):
                continue
            stay = self.search(self.single_out([node], cell, colours), (*path, node))
            if stay < len(path):
                return stay
            tried.append(node)
        return len(path)

    def single_out(self, nodes: list[int], cell: list[int], colours: list[int]) -> list[int]:
        """Gives each of `nodes` a colour of its own, before that of the rest of their cell, and refines."""
        colours = list(colours)
        for node in cell:
            colours[node] += len(nodes)
        for place, node in enumerate(nodes):
            colours[node] += place - len(nodes)
        return self.refine(colours, nodes)

    def are_twins(self, cell: list[int]) -> bool:
        """Whether the nodes have the very same neighbours."""
        expected = sorted(self.neighbours[cell[0]])
        return all(sorted(self.neighbours[node]) == expected for node in cell[1:])

    def leaf(self, colours: list[int], path: tuple[int, ...]) -> int:
        """Every node has a colour of its own: a complete numbering. One that equals an earlier one is a symmetry: all
        that follows the choice where the two paths part would repeat what followed the earlier choice."""
        edges = sorted((colours[a], out, colours[b], into) for a, out, b, into in self.edges)
        found = _Leaf(edges, sorted(range(self.size), key=colours.__getitem__), path)
        for earlier in (self.first, self.best):
            if earlier is not None and edges == earlier.edges:
                mapping, inverse = [0] * self.size, [0] * self.size
                for ours, theirs in zip(earlier.order, found.order):
                    mapping[ours], inverse[theirs] = theirs, ours
                self.automorphisms.append((mapping, inverse))
                return next(i for i, (ours, theirs) in enumerate(zip(earlier.path, path)) if ours != theirs)
        self.first = self.first or found
        if self.best is None or edges < self.best.edges:
            self.best = found
        return len(path)

    def symmetric(self, node: int, tried: list[int], path: tuple[int, ...]) -> bool:
        """Whether known automorphisms that keep `path` lead from a tried node to this one."""
        kept = [pair for pair in self.automorphisms if all(pair[0][v] == v for v in path)]
        orbit, frontier = set(tried), list(tried)
        while frontier:
            current = frontier.pop()
            for mapping in (direction for pair in kept for direction in pair):
                if mapping[current] not in orbit:
                    orbit.add(mapping[current])
                    frontier.append(mapping[current])
        return node in orbit
