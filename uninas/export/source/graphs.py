"""One block graph as a class with a readable `forward`."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from ...genotype import INPUT, OUTPUT, BlockGraph, Ref
from ...ops import Grid, Op, Value
from .chains import attention_chains
from .layout import WIDTH, Expression, call, lines
from .operations import Where, Written, heads_of, written

FRESH = {Grid.FULL: ("x", "y", "z", "u", "w"), Grid.POINT: ("pooled",), Grid.PAIR: ("scores",)}
"""Names of values; of a value that is no longer needed, the next one of its kind takes over the name."""


@dataclass(frozen=True)
class Arguments:
    """What a class is told when it is made; None where it needs no telling."""

    width: int | None
    heads: int | None
    bias_size: int | None

    def given(self) -> dict[str, int]:
        """Names and values, in order."""
        return {name: value for name, value in vars(self).items() if value is not None}


@dataclass
class GraphClass:
    """The text of a class, without its first line and docstring."""

    body: list[str]
    arguments: Arguments
    helpers: set[str]
    kinds: list[str]
    """Names of the operations, in order."""

    @property
    def text(self) -> str:
        return "\n".join(self.body)


def write_graph(graph: BlockGraph, width: int) -> GraphClass:
    """A graph for `width` channels, in which `width`, `heads` and `bias_size` are names where one number will do.

    Raises:
        FormatError: an operation has no words.
    """
    return _Writer(graph, width).run()


def _one(numbers: list[int]) -> int | None:
    return numbers[0] if len(set(numbers)) == 1 else None


@dataclass
class _Statement:
    targets: list[str]
    text: str


@dataclass
class _Writer:
    graph: BlockGraph
    width: int
    modules: list[tuple[str, Expression]] = field(default_factory=list)
    statements: list[_Statement] = field(default_factory=list)
    helpers: set[str] = field(default_factory=set)
    names: dict[Ref, str] = field(default_factory=dict)
    made_by: dict[Ref, _Statement] = field(default_factory=dict)
    sized: bool = False

    def run(self) -> GraphClass:
        graph, ops = self.graph, self.graph.ops
        live = [ops[node] for node in ops if node in graph.live]
        self.values = graph.infer(self.width)
        self.heads = _one([op.attributes()["heads"] for op in live if op.name in ("matmul1", "matmul2")])
        self.bias_size = _one([op.attributes()["size"] for op in live if op.name == "rel_pos_bias"])
        self.left = Counter(ref for node in (*graph.live, OUTPUT) for ref in graph.sources[node])
        self.names[Ref(INPUT)] = "x"
        self.fused = attention_chains(graph)
        skipped = {node for chain in self.fused.values() for node in chain.nodes}
        for node in self._order():
            if node not in skipped:
                self._write(node)
        result = self.names[graph.sources[OUTPUT][0]]
        last = self.statements[-1] if self.statements else None
        returned = result
        if last is not None and last.targets == [result]:
            returned = last.text
            self.statements.pop()
        return self._assemble(returned, [op.name for op in (ops[node] for node in self._order())])

    def _order(self) -> list[str]:
        """Live nodes, producers first, each branch in one go."""
        found: dict[str, None] = {}
        frontier = [(self.graph.sources[OUTPUT][0].node, False)]
        while frontier:
            node, ready = frontier.pop()
            if node == INPUT or node in found:
                continue
            if ready:
                found[node] = None
                continue
            frontier.append((node, True))
            frontier += [(ref.node, False) for ref in reversed(self.graph.sources[node])]
        return list(found)

    def _where(self, node: str) -> Where:
        inputs = tuple(self.values[ref] for ref in self.graph.sources[node])
        return Where(inputs, self.width, self.heads, self.bias_size)

    def _module(self, node: str, what: Written) -> None:
        self.helpers.update(what.helpers)
        if what.module is not None:
            self.modules.append((node, what.module))

    def _fill(self, node: str, what: Written, names: list[str]) -> str:
        places = {"self": f"self.{node}", "size": "size", "all": ", ".join(names)}
        self.sized = self.sized or "{size}" in what.forward
        return what.forward.format(*names, **places)

    def _write(self, node: str) -> None:
        op, refs = self.graph.ops[node], list(self.graph.sources[node])
        if node in self.fused:
            refs, text = self._fused(node)
            self._assign(op, node, refs, text)
            return
        what = written(op, self._where(node))
        self._module(node, what)
        before = self.made_by.get(refs[0])
        alone = len(refs) == 1 and self.left[refs[0]] == 1 and before is not None and before is self._last()
        if what.inline and alone and before is not None and before.targets == [self.names[refs[0]]]:
            text = self._fill(node, what, [before.text])
            if len(text) < WIDTH - 30:
                self.statements.pop()
                self._assign(op, node, refs, text)
                return
        self._assign(op, node, refs, self._fill(node, what, [self.names[ref] for ref in refs]))

    def _last(self) -> _Statement | None:
        return self.statements[-1] if self.statements else None

    def _fused(self, node: str) -> tuple[list[Ref], str]:
        """softmax(q k^T / sqrt(d) + biases) v in one call."""
        chain = self.fused[node]
        self.helpers.update(("split_heads", "join_heads", "attention"))
        names = [self.names[ref] for ref in chain.inputs]
        biases = []
        for bias in chain.biases:
            op = self.graph.ops[bias]
            what = written(op, self._where(bias))
            if op.name == "mask":
                self.helpers.update(("outside_band", "band_bias_of"))
                biases.append(f"band_bias_of({names[2]}, {op.attributes()['band']})")
            else:
                self._module(bias, what)
                biases.append(f"self.{bias}(*size)")
                self.sized = True
        heads = heads_of(self.graph.ops[node], self._where(node))
        arguments = ", ".join([*names, heads, *([" + ".join(biases)] if biases else [])])
        return list(chain.inputs), f"attention({arguments})"

    def _assign(self, op: Op, node: str, refs: list[Ref], text: str) -> None:
        for ref in refs:
            self.left[ref] -= 1
        outputs = [Ref(node, port) for port in range(op.outputs)]
        dying = [self.names[ref] for ref in refs if not self.left[ref] and self._alike(ref, outputs[0])]
        if len(outputs) > 1:
            targets = self._ports(outputs, dying)
        elif dying:
            targets = [dying[0]]
        else:
            targets = [self._fresh(self.values[outputs[0]])]
        statement = _Statement(targets, text)
        self.statements.append(statement)
        for ref, name in zip(outputs, targets):
            self.names[ref] = name
            self.made_by[ref] = statement

    def _ports(self, outputs: list[Ref], dying: list[str]) -> list[str]:
        used = [bool(self.left[ref]) for ref in outputs]
        busy = self._busy()
        if all(used) and len(outputs) == 3 and not busy & {"q", "k", "v"} and self._attends(outputs):
            return ["q", "k", "v"]
        found, free = [], [name for name in dying if name not in busy]
        for ref, needed in zip(outputs, used):
            name = (free.pop(0) if free else self._fresh(self.values[ref], found)) if needed else "_"
            found.append(name)
        return found

    def _alike(self, ref: Ref, other: Ref) -> bool:
        """Whether a value's name suits another value."""
        return self.values[ref].grid is self.values[other].grid and self.names[ref] not in ("q", "k", "v")

    def _attends(self, outputs: list[Ref]) -> bool:
        """Whether the first two ports are compared and the third mixed."""
        sources, ops = self.graph.sources, self.graph.ops
        compared = any(ops[n].name == "matmul1" and sources[n] == tuple(outputs[:2]) for n in self.graph.live)
        return compared and any(ops[n].name == "matmul2" and sources[n][1] == outputs[2] for n in self.graph.live)

    def _busy(self) -> set[str]:
        return {name for ref, name in self.names.items() if self.left[ref]}

    def _fresh(self, value: Value, also: list[str] | None = None) -> str:
        busy = self._busy() | set(also or ())
        options = FRESH[value.grid]
        numbered = (f"{options[0]}{number}" for number in range(2, 1000))
        return next(name for name in (*options, *numbered) if name not in busy)

    def _assemble(self, returned: str, kinds: list[str]) -> GraphClass:
        body: list[str] = []
        keeps_heads = self.heads is not None and any("self.heads" in s.text for s in self._all(returned))
        text = " ".join(str(module) for _, module in self.modules)
        needs = {
            "width": self.width if "width" in text else None,
            "heads": self.heads if keeps_heads or "heads" in text else None,
            "bias_size": self.bias_size if "bias_size" in text else None,
        }
        arguments = Arguments(**needs)
        if self.modules or keeps_heads:
            given = "".join(f", {name}: int" for name in arguments.given())
            body += [f"    def __init__(self{given}) -> None:", "        super().__init__()"]
            if keeps_heads:
                body.append("        self.heads = heads")
            for name, module in self.modules:
                body += lines(module, 8, f"self.{name} = ")
            body.append("")
        body.append("    def forward(self, x: Tensor) -> Tensor:")
        if self.sized:
            body.append("        size = x.shape[2:]")
        for statement in self.statements:
            body += _statement(f"{', '.join(statement.targets)} = ", statement.text)
        body += _statement("return ", returned)
        return GraphClass(body, arguments, self.helpers, kinds)

    def _all(self, returned: str) -> list[_Statement]:
        return [*self.statements, _Statement([], returned)]


def _statement(before: str, text: str) -> list[str]:
    """A statement of `forward`; a long call is broken behind its bracket, a long sum gets brackets."""
    if 8 + len(before) + len(text) <= WIDTH:
        return [f"        {before}{text}"]
    parts = text.split(" + ")
    if len(parts) > 1:
        if 12 + len(text) <= WIDTH:
            return [f"        {before}(", f"            {text}", "        )"]
        rest = [f"            + {part}" for part in parts[1:]]
        return [f"        {before}(", f"            {parts[0]}", *rest, "        )"]
    head, _, inner = text.partition("(")
    return lines(call(head, *_split(inner[:-1])), 8, before)


def _split(text: str) -> list[str]:
    """Arguments at the outermost level."""
    found, depth = [""], 0
    for letter in text:
        depth += (letter in "([{") - (letter in ")]}")
        if letter == "," and not depth:
            found.append("")
        else:
            found[-1] += letter
    return [part.strip() for part in found]
