"""What two networks differ in: stages, blocks and sub-blocks are aligned, then the operations of graphs are matched.

An operation of one graph is that of another if all that leads to it is the same, or all that it leads to; of what is
left, equal operations are paired in the order of the data flow, then those that differ in attributes only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, NamedTuple, TypeVar

from ..genotype import OUTPUT, Block, BlockGraph, Genotype, Stage, SubBlock
from .drawing.figure import Place
from .drawing.labels import op_label

Item = TypeVar("Item")
GAP = 0.55
"""Cost of an item that is only on one side, where that of two that have nothing in common is 1: changed comes before
one removed and one added."""

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
    for a, b in align(first.stages, second.stages, _stage_content):
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
        extra = ", ".join(
            [f"{conv['kernel']}×{conv['kernel']}", *stride, *filter(None, (conv["norm"], conv["activation"]))]
        )
        texts.append(f"{conv['width']} ({extra})")
    return " - ".join(texts)


def _stage(found: Difference, i: int, first: Stage, j: int, second: Stage) -> None:
    where = f"stages[{j}]"
    if first.width != second.width:
        found.note(where, "changed", f"width {first.width} to {second.width}")
    if first.downsample != second.downsample:
        found.note(where, "changed", f"downsampling {first.downsample.kind} to {second.downsample.kind}")
    for a, b in align(first.blocks, second.blocks, _block_content):
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
    for a, b in align(first.subblocks, second.subblocks, _subblock_content):
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


def _attributes(old: object, new: object) -> str:
    """The attributes that differ, where labels do not show it."""
    if op_label(old) != op_label(new):  # type: ignore[arg-type]
        return ""
    before, after = old.attributes(), new.attributes()  # type: ignore[attr-defined]
    texts = (f"{key} {_plain(before[key])} to {_plain(after[key])}" for key in before if before[key] != after.get(key))
    return f" ({', '.join(texts)})"


def _behind(graph: BlockGraph, node: str) -> str:
    """` behind conv 3×3`."""
    names = [op_label(graph.ops[ref.node]) if ref.node in graph.ops else "the input" for ref in graph.sources[node]]
    return f" behind {' and '.join(dict.fromkeys(names))}"


def match_nodes(first: BlockGraph, second: BlockGraph) -> tuple[list[tuple[str, str]], list[str], list[str]]:
    """(pairs, nodes of the first alone, nodes of the second alone), in the order of the data flow."""
    left, right = ([node for node in graph.flow_order if node in graph.live] for graph in (first, second))
    pairs: dict[str, str] = {}
    signs: list[tuple[Callable[[str], Hashable], Callable[[str], Hashable]]] = [
        (_upstream(first).__getitem__, _upstream(second).__getitem__),
        (_downstream(first).__getitem__, _downstream(second).__getitem__),
        (first.ops.__getitem__, second.ops.__getitem__),
        (lambda node: first.ops[node].name, lambda node: second.ops[node].name),
    ]
    for mine, theirs in signs:
        waiting: dict[Hashable, list[str]] = {}
        taken = set(pairs.values())
        for node in right:
            if node not in taken:
                waiting.setdefault(theirs(node), []).append(node)
        for node in left:
            if node not in pairs and waiting.get(mine(node)):
                pairs[node] = waiting[mine(node)].pop(0)
    taken = set(pairs.values())
    both = [(node, pairs[node]) for node in left if node in pairs]
    return both, [node for node in left if node not in pairs], [node for node in right if node not in taken]


def _upstream(graph: BlockGraph) -> dict[str, Hashable]:
    """A number for each node that stands for the operation and all that leads to it."""
    found: dict[str, Hashable] = {}
    for node in graph.flow_order:
        fed = [(found.get(ref.node, ref.node), ref.port) for ref in graph.sources[node]]
        found[node] = hash((str(graph.ops[node]), tuple(sorted(fed, key=hash) if graph.ops[node].commutative else fed)))
    return found


def _downstream(graph: BlockGraph) -> dict[str, Hashable]:
    """A number for each node that stands for the operation and all that it leads to."""
    feeds: dict[str, list[tuple[str, int, int]]] = {}
    for node, refs in graph.sources.items():
        ordered = node != OUTPUT and not graph.ops[node].commutative
        for port, ref in enumerate(refs):
            feeds.setdefault(ref.node, []).append((node, ref.port, port if ordered else 0))
    found: dict[str, Hashable] = {}
    for node in reversed(graph.flow_order):
        fed = [hash((found.get(target, target), out, into)) for target, out, into in feeds.get(node, ())]
        found[node] = hash((str(graph.ops[node]), tuple(sorted(fed))))
    return found


def align(
    first: Sequence[Item], second: Sequence[Item], content: Callable[[Item], Counter]
) -> Iterator[tuple[int | None, int | None]]:
    """Pairs of positions in order, with None where an item of one sequence has no partner in the other.

    Equal items at the beginning and at the end are partners. Between them the alignment has the smallest sum of costs
    (Needleman and Wunsch, 1970): the share of their contents that two partners do not have in common, GAP for an item
    without a partner.
    """
    shorter = min(len(first), len(second))
    start = next((i for i in range(shorter) if not _same(first[i], second[i])), shorter)
    rest = shorter - start
    end = next((i for i in range(rest) if not _same(first[-1 - i], second[-1 - i])), rest)
    if len(first) == len(second) == start + end + 1:  # one item differs: it was changed
        yield from ((i, i) for i in range(len(first)))
        return
    left, right = (list(map(content, items[start : len(items) - end])) for items in (first, second))
    cost = [[0.0] * (len(right) + 1) for _ in range(len(left) + 1)]
    for i in range(len(left), -1, -1):
        for j in range(len(right), -1, -1):
            options = []
            if i < len(left) and j < len(right):
                options.append(_distance(left[i], right[j]) + cost[i + 1][j + 1])
            if i < len(left):
                options.append(GAP + cost[i + 1][j])
            if j < len(right):
                options.append(GAP + cost[i][j + 1])
            cost[i][j] = min(options, default=0.0)
    yield from ((i, i) for i in range(start))
    i = j = 0
    while i < len(left) or j < len(right):
        here = cost[i][j]
        if i < len(left) and j < len(right) and here == _distance(left[i], right[j]) + cost[i + 1][j + 1]:
            yield start + i, start + j
            i, j = i + 1, j + 1
        elif i < len(left) and here == GAP + cost[i + 1][j]:
            yield start + i, None
            i += 1
        else:
            yield None, start + j
            j += 1
    yield from ((len(first) - 1 - i, len(second) - 1 - i) for i in reversed(range(end)))


def _same(a: Any, b: Any) -> bool:
    return a is b or _signature(a) == _signature(b)


def _signature(item: SubBlock | Block | Stage) -> list:
    """What decides equality of a sub-block, a block or a stage."""
    if isinstance(item, SubBlock):
        return item.signature
    if isinstance(item, Block):
        return [sub.signature for sub in item.subblocks]
    return [item.width, item.downsample, [_signature(block) for block in item.blocks]]


def _distance(a: Counter, b: Counter) -> float:
    """Share of two contents that they do not have in common; a little for what only stands in another order."""
    if a == b:
        return 0.0
    return 1 - (a & b).total() / max((a | b).total(), 1)


def _subblock_content(sub: SubBlock) -> Counter:
    """Its operations; the key counts too, so that equal graphs are nearer than graphs of equal operations."""
    return Counter([*sub.graph.ops.values(), ("frame", sub.norm, sub.residual, sub.activation), sub.graph.key])


def _block_content(block: Block) -> Counter:
    return sum((_subblock_content(sub) for sub in block.subblocks), Counter())


def _stage_content(stage: Stage) -> Counter:
    content = sum((_block_content(block) for block in stage.blocks), Counter())
    return content + Counter([("width", stage.width), ("downsample", stage.downsample)])
