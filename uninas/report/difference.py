"""What two networks differ in: stages, blocks and sub-blocks are aligned, then the operations of graphs are matched."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Literal, NamedTuple

from ..genotype import Block, BlockGraph, Genotype, Stage, SubBlock
from ..ops import Op
from .alignment import align
from .drawing.figure import Place
from .drawing.labels import op_label
from .matching import match_nodes

REPLACED = 0.5
"""Graphs that share less than this of their operations are not compared one by one."""


class Change(NamedTuple):
    """One difference."""

    where: str
    """The place: `stages[1].blocks[0].subblocks[0]`, in the second network, or in the first for what was removed."""
    kind: Literal["added", "removed", "changed"]
    what: str


@dataclass
class Difference:
    """From a first to a second network."""

    changes: list[Change] = field(default_factory=list)
    before: dict[Place, set[str]] = field(default_factory=dict)
    """What is to be marked in the first: nodes that were removed or changed, by their sub-block."""
    after: dict[Place, set[str]] = field(default_factory=dict)
    """What is to be marked in the second: nodes that were added or changed."""

    def note(self, where: str, kind: Literal["added", "removed", "changed"], what: str) -> None:
        self.changes.append(Change(where, kind, what))


def grouped(changes: Sequence[Change]) -> list[tuple[Change, int]]:
    """(a change, in how many places it was made), so that what was done to every block is said once."""
    counts = Counter((change.kind, change.what) for change in changes)
    first: dict[tuple[str, str], Change] = {}
    for change in changes:
        first.setdefault((change.kind, change.what), change)
    return [(change, counts[kind]) for kind, change in first.items()]


def difference(first: Genotype, second: Genotype) -> Difference:
    """What has to be done to `first` to make it `second`; nothing when their keys are equal."""
    found = Difference()
    if first.key == second.key:
        return found
    for part in ("stem", "head"):
        _fields(found, part, asdict(getattr(first, part)), asdict(getattr(second, part)))
    for a, b in align(first.stages, second.stages):
        if a is None or b is None:
            index, kind = (a, "removed") if b is None else (b, "added")
            stage = (first if b is None else second).stages[index or 0]
            found.note(f"stages[{index}]", kind, f"a stage of {len(stage.blocks)} blocks, {stage.width} channels")
            _mark(found.before if b is None else found.after, index or 0, stage)
        else:
            _stage(found, a, first.stages[a], b, second.stages[b])
    return found


def _mark(marks: dict[Place, set[str]], index: int, stage: Stage) -> None:
    """All of a stage."""
    for j, k, sub in stage.subblocks:
        marks[index, j, k] = set(sub.graph.ops)


def _fields(found: Difference, where: str, before: dict, after: dict) -> None:
    """Plain settings that differ."""
    for name, value in before.items():
        if isinstance(value, (list, tuple)):  # the stem's convolutions
            if value != after[name]:
                found.note(where, "changed", f"{name}: {_convs(value)} to {_convs(after[name])}")
        elif value != after[name]:
            found.note(where, "changed", f"{name} {value} to {after[name]}")


def _convs(convs: Iterable[dict]) -> str:
    """`32 (stride 2, BN), 64`."""
    texts = []
    for conv in convs:
        stride = [f"stride {conv['stride']}"] if conv["stride"] > 1 else []
        later = [f"{key} {conv[key]}" for key in ("padding", "pool") if conv[key] is not None]
        known = filter(None, (conv["norm"], conv["activation"]))
        extra = ", ".join([f"{conv['kernel']}×{conv['kernel']}", *stride, *known, *later])
        texts.append(f"{conv['width']} ({extra})")
    return " - ".join(texts)


def _stage(found: Difference, i: int, first: Stage, j: int, second: Stage) -> None:
    where = f"stages[{j}]"
    if first.width != second.width:
        found.note(where, "changed", f"width {first.width} to {second.width}")
    if first.downsample != second.downsample:
        found.note(where, "changed", f"downsampling {first.downsample} to {second.downsample}")
    for a, b in align(first.blocks, second.blocks):
        if a is None or b is None:
            stage, place, kind, marks = (
                (first, (i, a), "removed", found.before) if b is None else (second, (j, b), "added", found.after)
            )
            block = stage.blocks[place[1] or 0]
            size = f"{len(block.subblocks)} sub-block{'s' if len(block.subblocks) > 1 else ''}"
            found.note(f"stages[{place[0]}].blocks[{place[1]}]", kind, f"a block of {size}")
            for k, sub in enumerate(block.subblocks):
                marks[place[0], place[1] or 0, k] = set(sub.graph.ops)
        else:
            _block(found, (i, a), first.blocks[a], (j, b), second.blocks[b])


def _block(found: Difference, i: tuple[int, int], first: Block, j: tuple[int, int], second: Block) -> None:
    for a, b in align(first.subblocks, second.subblocks):
        if a is None or b is None:
            block, place, kind, marks = (
                (first, (*i, a or 0), "removed", found.before) if b is None else (second, (*j, b), "added", found.after)
            )
            sub = block.subblocks[place[2]]
            found.note(path(place), kind, f"a sub-block of {len(sub.graph.ops)} operations")
            marks[place] = set(sub.graph.ops)
        elif first.subblocks[a].signature != second.subblocks[b].signature:
            _subblock(found, (*i, a), first.subblocks[a], (*j, b), second.subblocks[b])


def _subblock(found: Difference, i: Place, first: SubBlock, j: Place, second: SubBlock) -> None:
    before, after = found.before.setdefault(i, set()), found.after.setdefault(j, set())
    for name in ("norm", "residual", "activation"):
        old, new = getattr(first, name), getattr(second, name)
        if old != new:
            found.note(path(j), "changed", f"{name} {_plain(old)} to {_plain(new)}")
    if first.graph.key == second.graph.key:
        return
    pairs, removed, added = match_nodes(first.graph, second.graph)
    if len(pairs) < REPLACED * max(len(first.graph.live), len(second.graph.live)):
        old, new = (f"{len(graph.live)} operations" for graph in (first.graph, second.graph))
        found.note(path(j), "changed", f"another graph: {new} in the place of {old}")
        before.update(first.graph.live)
        after.update(second.graph.live)
        return
    count = len(found.changes)
    for a, b in pairs:
        old, new = first.graph.ops[a], second.graph.ops[b]
        if old != new:
            found.note(path(j), "changed", f"{op_label(old)} to {op_label(new)}{_attributes(old, new)}")
            before.add(a)
            after.add(b)
    for node in removed:
        found.note(path(i), "removed", f"{op_label(first.graph.ops[node])}{_behind(first.graph, node)}")
    for node in added:
        found.note(path(j), "added", f"{op_label(second.graph.ops[node])}{_behind(second.graph, node)}")
    before.update(removed)
    after.update(added)
    if len(found.changes) == count:
        found.note(path(j), "changed", "the same operations, wired otherwise")


def path(place: Place) -> str:
    """A sub-block, as errors and files name it."""
    return f"stages[{place[0]}].blocks[{place[1]}].subblocks[{place[2]}]"


def _plain(value: object) -> str:
    return {True: "on", False: "off", None: "none"}.get(value, str(value))  # type: ignore[call-overload]


def _attributes(old: Op, new: Op) -> str:
    """The attributes that differ, where labels do not show it."""
    if op_label(old) != op_label(new):
        return ""
    before, after = old.attributes(), new.attributes()
    texts = (f"{key} {_plain(before[key])} to {_plain(after[key])}" for key in before if before[key] != after.get(key))
    return f" ({', '.join(texts)})"


def _behind(graph: BlockGraph, node: str) -> str:
    """` behind conv 3×3`."""
    names = [op_label(graph.ops[ref.node]) if ref.node in graph.ops else "the input" for ref in graph.sources[node]]
    return f" behind {' and '.join(dict.fromkeys(names))}"
