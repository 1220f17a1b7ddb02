"""What the file of a space of graphs says, as data. Every key of the file is a field; unknown keys are refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, InstanceOf, PlainSerializer, model_validator

from ...blocks import BLOCKS, KNOWN
from ...errors import GenotypeError, nearest
from ...genotype import Stem, StemConv
from ...ops import make
from ...ops.base import REGISTRY
from ...resources import validated
from .alphabet import Choices
from .bounds import Bounds
from .default_proxy import DEFAULT_PROXY, ObjectiveName
from .frame import FrameChoices
from .moves import MOVES


def _stem(value: Any) -> Any:
    """A stem from its convolutions, each written as in a genotype's file."""
    if value is None or isinstance(value, Stem):
        return value
    if not isinstance(value, (list, tuple)):
        raise GenotypeError(f"expected a list of convolutions such as {{width: 64, kernel: 3}}, got {value!r}")
    known = [spec.name for spec in fields(StemConv)]
    convs = []
    for i, written in enumerate(value):
        if not isinstance(written, Mapping) or "width" not in written:
            raise GenotypeError(f"expected a mapping such as {{width: 64, kernel: 3}}, got {written!r}", f"[{i}]")
        for key in written:
            if key not in known:
                raise GenotypeError(f"unknown key {key!r}; {nearest(str(key), known)}", f"[{i}]")
        try:
            convs.append(StemConv(**written))
        except GenotypeError as error:
            raise error.under(f"[{i}]") from None
    return Stem(tuple(convs))


def _written_stem(stem: Stem | None) -> list[dict[str, Any]] | None:
    return [dict(vars(conv)) for conv in stem.convs] if stem is not None else None


class Start(BaseModel):
    """A starting point: a network of `uninas.blocks`, with another stem, widths, depths or blocks where given."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    network: str
    stem: Annotated[InstanceOf[Stem] | None, BeforeValidator(validated(_stem)), PlainSerializer(_written_stem)] = None
    """Its convolutions, as under `stem.convs` of a genotype's file."""
    widths: tuple[int, ...] | None = None
    depths: tuple[int, ...] | None = None
    blocks: tuple[str, ...] | None = None


class GraphSpecification(BaseModel):
    """A space of graphs as its file describes it.

    Stages are counted from 1 in the file, from 0 in code.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["graphs"] = "graphs"
    name: str = "unnamed"
    design_size: int = Field(224, ge=32)
    """Image side in pixels for whose grids relative position bias tables are made."""
    size_band: float | None = Field(None, gt=0, le=1)
    """The least of a cost against the most, where a user gives only the most; null for no least."""
    proxy: ObjectiveName = DEFAULT_PROXY
    """What guides a search unless its user names another."""
    alphabet: Choices
    """Operations that moves may write into graphs, and the attribute values that they choose from."""
    accepted: tuple[str, ...] = ()
    """Operations that networks may have besides, though no move writes them."""
    blocks: tuple[str, ...] = ()
    """Blocks of `uninas.blocks` that moves may add whole."""
    starts: dict[str, Start]
    moves: dict[str, float]
    """Weight of each move; only their proportions matter."""
    attention_stages: Annotated[frozenset[int], PlainSerializer(sorted)]
    """Stages, counted from 1, in which moves may add query-key grids."""
    frame: FrameChoices = Field(default_factory=FrameChoices)
    limits: Bounds = Field(default_factory=lambda: Bounds.model_validate({}))
    attempts: int = Field(500, ge=1)
    """Edits that are tried for one neighbour before giving up."""

    @property
    def attention_indices(self) -> frozenset[int]:
        """`attention_stages` counted from 0."""
        return frozenset(stage - 1 for stage in self.attention_stages)

    @model_validator(mode="after")
    def _check(self) -> GraphSpecification:
        for op, attributes in self.alphabet.items():
            _check_op(op, attributes)
        for i, op in enumerate(self.accepted):
            if op not in REGISTRY:
                raise ValueError(f"accepted[{i}]: there is no operation {op!r}; {nearest(op, REGISTRY)}")
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
            if start.network not in KNOWN:
                raise ValueError(
                    f"starts.{name}.network: there is no network {start.network!r}; {nearest(start.network, KNOWN)}"
                )
        return self


def _check_op(name: str, attributes: dict[str, list[Any]]) -> None:
    """Raises ValueError with the path in the file unless every attribute value is valid."""
    path = f"alphabet.{name}"
    try:
        side = make(name).side
    except GenotypeError as error:
        raise ValueError(f"{path}: {error.message}") from None
    if side is not None and side in attributes:
        raise ValueError(f"{path}.{side}: follows from design_size and the stage; leave it out")
    for attribute, values in attributes.items():
        if not values:
            raise ValueError(f"{path}.{attribute}: expected at least one value")
        for i, value in enumerate(values):
            try:
                make(name, {attribute: value})
            except GenotypeError as error:
                raise ValueError(f"{path}.{attribute}[{i}]: {error.message}") from None
