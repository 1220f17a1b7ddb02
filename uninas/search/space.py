"""A search space: the alphabet, the starting points, the moves with their weights, and the limits, read from YAML.

space = Space.load("uninas")            # a file of `spaces/`, or a path
g = space.start("coatnet")
child = space.mutate(g, random.Random(0))
"""

from __future__ import annotations

import inspect
from functools import lru_cache
from pathlib import Path
from random import Random

from pydantic import BaseModel, ConfigDict, Field, model_validator

from .. import resources
from ..blocks import BLOCKS, NETWORKS, network
from ..errors import GenotypeError, SpaceError, UninasError, nearest
from ..genotype import Block, Genotype
from ..ops import make
from .alphabet import Alphabet, Choices
from .constraints import Limits
from .limits import SpaceLimits, faults
from .moves import MOVES
from .propose import Proposal, propose


class Start(BaseModel):
    """A starting point: a network of `uninas.blocks`, with other widths, depths or blocks where given."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    network: str
    widths: tuple[int, ...] | None = None
    depths: tuple[int, ...] | None = None
    blocks: tuple[str, ...] | None = None


class Space(BaseModel):
    """A search space. Every key of the file is a field here; unknown keys are refused.

    Stages are counted from 1 in the file, from 0 in code.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = "unnamed"
    design_size: int = Field(224, ge=32)
    """Image side in pixels for whose grids relative position bias tables are made."""
    alphabet: Choices
    blocks: tuple[str, ...] = ()
    """Blocks of `uninas.blocks` that moves may add whole."""
    starts: dict[str, Start]
    moves: dict[str, float]
    """Weight of each move; only their proportions matter."""
    attention_stages: frozenset[int]
    """Stages, counted from 1, in which moves may add query-key grids."""
    limits: SpaceLimits = Field(default_factory=lambda: SpaceLimits.model_validate({}))
    attempts: int = Field(500, ge=1)
    """Edits that `mutate` tries before it gives up."""

    @classmethod
    def load(cls, name: str | Path) -> Space:
        """Reads a space by name or path.

        Raises:
            SpaceError: there is no such space, or the file is not valid; the message has the file, the path of the
                key, and valid choices.
        """
        try:
            path = resources.find("spaces", name)
        except UninasError as error:
            raise SpaceError(str(error)) from None
        return resources.read(path, cls, SpaceError)

    @classmethod
    def from_dict(cls, data: object) -> Space:
        """A space from plain data. Raises SpaceError."""
        return resources.parse(data, cls, SpaceError)

    @model_validator(mode="after")
    def _check(self) -> Space:
        for op, attributes in self.alphabet.items():
            _checked_op(op, attributes)
        for i, block in enumerate(self.blocks):
            if block not in BLOCKS:
                raise ValueError(f"blocks[{i}]: there is no block {block!r}; {nearest(block, BLOCKS)}")
        for move, weight in self.moves.items():
            if move not in MOVES:
                raise ValueError(f"moves.{move}: there is no such move; {nearest(move, MOVES)}")
            if not 0 <= weight < float("inf"):
                raise ValueError(f"moves.{move}: a weight is at least 0, got {weight}")
        if not sum(self.moves.values()) > 0:
            raise ValueError("moves: at least one weight must be above 0")
        if any(stage < 1 for stage in self.attention_stages):
            raise ValueError(f"attention_stages: stages are counted from 1, got {sorted(self.attention_stages)}")
        for name, start in self.starts.items():
            if start.network not in NETWORKS:
                raise ValueError(
                    f"starts.{name}.network: there is no network {start.network!r}; {nearest(start.network, NETWORKS)}"
                )
        return self

    def start(self, name: str) -> Genotype:
        """A starting point by its name in the file.

        Raises:
            SpaceError: the space has no such start, or the start is not inside the space.
        """
        if name not in self.starts:
            hint = nearest(name, self.starts) + self._hint(name)
            raise SpaceError(f"space {self.name!r} has no start {name!r}; {hint}")
        start = self.starts[name]
        try:
            genotype = network(
                start.network,
                widths=start.widths,
                depths=start.depths,
                blocks=start.blocks,
                input_size=self.design_size,
            )
        except GenotypeError as error:
            raise SpaceError(f"starts.{name}: {error}") from None
        self.check(genotype, f"start {name!r}")
        return genotype

    def _hint(self, name: str) -> str:
        """What to do for a published network that attends where this space does not."""
        if name not in NETWORKS:
            return ""
        try:
            self.check(network(name), name)
        except SpaceError as error:
            return f". ({error})"
        return f". To use {name}, add it to `starts` of a copy of the space file"

    def check(self, genotype: Genotype, what: str = "the genotype") -> None:
        """Raises SpaceError, naming the setting, unless `genotype` is inside the space."""
        for (i, j, k), sub in genotype.subblocks:
            for node, op in sub.graph.ops.items():
                if op.name not in self.alphabet:
                    place = f"stages[{i}].blocks[{j}].subblocks[{k}].graph, node {node!r}"
                    raise SpaceError(
                        f"{what} is outside of space {self.name!r}: its alphabet has no {op.name!r} ({place}); "
                        f"{nearest(op.name, self.alphabet)}"
                    )
        found = [fault for fault in faults(self.limits, genotype, self.attention_indices) if fault[1] != "unsafe"]
        foreign = [int(path[7:-1]) + 1 for path, name in found if name == "foreign_attention"]
        if foreign:
            raise SpaceError(
                f"{what} is outside of space {self.name!r}: it has query-key grids in stages {foreign}, the space "
                f"admits them in stages {sorted(self.attention_stages)}; widen attention_stages in the space file, or "
                f"use --space uninas_global, which admits them everywhere"
            )
        for path, name in found:
            raise SpaceError(
                f"{what} is outside of space {self.name!r}: {path} breaks limits.{name} = {getattr(self.limits, name)}"
            )

    @property
    def attention_indices(self) -> frozenset[int]:
        """`attention_stages` counted from 0."""
        return frozenset(stage - 1 for stage in self.attention_stages)

    def alphabet_at(self, genotype: Genotype, stage: int) -> Alphabet:
        """The operations that moves may write into a stage (counted from 0)."""
        return _alphabet(self, self.side(genotype, stage), stage in self.attention_indices)

    def side(self, genotype: Genotype, stage: int) -> int:
        """Positions along a side of a stage's grid at the design size."""
        return -(-self.design_size // genotype.strides[stage])

    def known_block(self, genotype: Genotype, stage: int, rng: Random) -> Block | None:
        """A random block of `blocks` for a stage, or None when it does not fit there."""
        if not self.blocks:
            return None
        return _known_block(rng.choice(self.blocks), genotype.stages[stage].width, self.side(genotype, stage))

    def mutate(self, genotype: Genotype, rng: Random, limits: Limits | None = None) -> Genotype:
        """A valid genotype one move away from `genotype`, with another key.

        Args:
            genotype: any genotype; it need not be inside the space. What it breaks, the child may break as much.
            limits: on cost, beside those of the space.

        Raises:
            SpaceError: nothing was found in `attempts` edits; the message says what stood in the way.
        """
        return self.propose(genotype, rng, limits).genotype

    def propose(self, genotype: Genotype, rng: Random, limits: Limits | None = None) -> Proposal:
        """Like `mutate`, with the name of the move and the cost."""
        return propose(self, genotype, rng, limits)

    def __hash__(self) -> int:
        return id(self)


def _checked_op(name: str, attributes: dict[str, list]) -> None:
    """Raises ValueError with the path in the file unless every attribute value is valid."""
    path = f"alphabet.{name}"
    if name == "rel_pos_bias" and "size" in attributes:
        raise ValueError(f"{path}.size: follows from design_size and the stage; leave it out")
    try:
        make(name)
    except GenotypeError as error:
        raise ValueError(f"{path}: {error.message}") from None
    for attribute, values in attributes.items():
        if not values:
            raise ValueError(f"{path}.{attribute}: wants at least one value")
        for i, value in enumerate(values):
            try:
                make(name, {attribute: value})
            except GenotypeError as error:
                raise ValueError(f"{path}.{attribute}[{i}]: {error.message}") from None


@lru_cache(maxsize=256)
def _alphabet(space: Space, side: int, attention: bool) -> Alphabet:
    return Alphabet(space.alphabet, side, attention)


@lru_cache(maxsize=1024)
def _known_block(name: str, width: int, side: int) -> Block | None:
    """A well-known block; the same object each time, so that its graphs share their caches."""
    make_block = BLOCKS[name]
    sized = {"bias_size": side} if "bias_size" in inspect.signature(make_block).parameters else {}
    try:
        return make_block(width, **sized)
    except GenotypeError:
        return None
