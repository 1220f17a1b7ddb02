"""The universal space: networks of stages of blocks, each block a graph that moves may edit at will.

A space is a specification - what its file says - and the functions that read it: one random edit (`neighbourhood`), a
network from scratch (`sample`), a child of two (`crossover`), and a network brought within limits (`repair`).
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from ... import resources
from ...blocks import KNOWN, network
from ...errors import GenotypeError, SpaceError, nearest
from ...genotype import Block, Genotype
from ..limits import Limits
from . import crossover, neighbourhood, sample
from . import repair as repairing
from .alphabet import Alphabet
from .base import Proposal, Space
from .bounds import RULES, Bounds, faults
from .specification import GraphSpecification


class GraphSpace(Space):
    """A search space of graphs; also what its moves see of it."""

    def __init__(self, specification: GraphSpecification) -> None:
        self.specification = specification
        self.name = specification.name
        self.size_band = specification.size_band
        self.proxy = specification.proxy
        self.design_size = specification.design_size
        self.limits: Bounds = specification.limits
        self.frame = specification.frame
        self._alphabets: dict[tuple[int, bool], Alphabet] = {}

    @classmethod
    def from_dict(cls, data: object) -> GraphSpace:
        """A space from plain data in the layout of the file. Raises SpaceError, with the path of the key."""
        return cls(resources.parse(data, GraphSpecification, SpaceError))

    @property
    def starts(self) -> Sequence[str]:
        return tuple(self.specification.starts)

    def start(self, name: str) -> Genotype:
        """A starting point by its name in the file.

        Raises:
            SpaceError: the space has no such start, or the start is not inside the space.
        """
        if name not in self.specification.starts:
            hint = nearest(name, self.starts) + self._hint(name)
            raise SpaceError(f"space {self.name!r} has no start {name!r}; {hint}")
        start = self.specification.starts[name]
        changes: dict[str, Any] = {key: getattr(start, key) for key in ("widths", "depths", "blocks", "stem")}
        try:
            genotype = network(start.network, input_size=self.design_size, **changes)
        except GenotypeError as error:
            raise SpaceError(f"starts.{name}: {error}") from None
        self.check(genotype, f"start {name!r}")
        return genotype

    def _hint(self, name: str) -> str:
        """What to do for a published network that attends where this space does not."""
        if name not in KNOWN:
            return ""
        try:
            self.check(network(name), name)
        except SpaceError as error:
            return f". ({error})"
        return f". To use {name}, add it to `starts` of a copy of the space file"

    def check(self, genotype: Genotype, what: str = "the genotype") -> None:
        """Raises SpaceError, naming the setting, unless `genotype` is inside the space."""
        known = {*self.specification.alphabet, *self.specification.accepted}
        for (i, j, k), sub in genotype.subblocks:
            for node, op in sub.graph.ops.items():
                if op.name not in known:
                    place = f"stages[{i}].blocks[{j}].subblocks[{k}].graph, node {node!r}"
                    raise SpaceError(
                        f"{what} is outside of space {self.name!r}: its alphabet has no {op.name!r} ({place}); "
                        f"{nearest(op.name, known)}"
                    )
        found = list(faults(self.limits, genotype, self.specification.attention_indices))
        foreign = [int(path[7:-1]) + 1 for path, name in found if name == "foreign_attention"]
        if foreign:
            raise SpaceError(
                f"{what} is outside of space {self.name!r}: it has query-key grids in stages {foreign}, the space "
                f"admits them in stages {sorted(self.specification.attention_stages)}; widen attention_stages in the "
                f"space file, or use --space uninas_global, which admits them everywhere"
            )
        for path, name in found:
            if name not in RULES:  # which networks that somebody made may break
                raise SpaceError(
                    f"{what} is outside of space {self.name!r}: {path} breaks limits.{name} = "
                    f"{getattr(self.limits, name)}"
                )

    def neighbour(self, genotype: Genotype, rng: Random, limits: Limits | None = None) -> Proposal:
        """A valid genotype one move away, with another key; `genotype` need not be inside the space.

        Raises:
            SpaceError: nothing was found in `attempts` edits; the message says what stood in the way.
        """
        return neighbourhood.neighbour(self.specification, self, genotype, rng, limits)

    def sample(self, rng: Random, limits: Limits | None = None) -> Genotype:
        return sample.sample(self, rng, limits)

    def cross(self, mother: Genotype, father: Genotype, rng: Random, limits: Limits | None = None) -> Proposal:
        return crossover.cross(self, mother, father, rng, limits)

    def repair(self, genotype: Genotype, limits: Limits, rng: Random) -> Genotype:
        return repairing.repair(self.specification, self, genotype, limits, rng)

    def fingerprint(self) -> dict[str, Any]:
        return self.specification.model_dump(mode="json")

    def alphabet_at(self, genotype: Genotype, stage: int) -> Alphabet:
        """The operations that moves may write into a stage (counted from 0)."""
        place = (self.side(genotype, stage), stage in self.specification.attention_indices)
        if place not in self._alphabets:
            self._alphabets[place] = Alphabet(self.specification.alphabet, *place)
        return self._alphabets[place]

    def side(self, genotype: Genotype, stage: int) -> int:
        """Positions along a side of a stage's grid at the design size."""
        return -(-self.design_size // genotype.strides[stage])

    def known_block(self, genotype: Genotype, stage: int, rng: Random) -> Block | None:
        """A random block of `blocks` for a stage, or None when it does not fit there."""
        names = self.specification.blocks
        if not names:
            return None
        return sample.known_block(rng.choice(names), genotype.stages[stage].width, self.side(genotype, stage))
