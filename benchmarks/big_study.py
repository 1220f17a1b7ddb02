"""What a study of very many candidates costs: milliseconds a candidate, file, opening, memory.

    python benchmarks/big_study.py                         # 100,000 candidates of 5 metrics
    python benchmarks/big_study.py --candidates 10000

Candidates are mutations of CoAtNet, each of an earlier one: an operation more in one or two of its graphs. Scores are
made up. Timed is all that a search has its study do: interning, asking, recording, telling. Printed apart are the
reading of parents, of which every other one is among the last 64 candidates, and every other one anywhere in the study,
so that its graphs have to be decoded; and the making of candidates, which is not the study's.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uninas
from uninas.genotype import OUTPUT, BlockGraph, Genotype, Ref
from uninas.ops import make
from uninas.search.measurement import Measurement, State
from uninas.search.study import NewCandidate, NewEvaluation, Study

METRICS = ("vkdnw_single", "jacov", "expressivity", "trainability", "naswot")
SETTINGS = {"proxy": "logrank(vkdnw_single, jacov, expressivity, trainability, naswot)"}
GENERATION = 8
MOST_NODES = 24
"""Of a graph; one that has more is taken back to what it was in CoAtNet."""
RECENT = 64
"""The last candidates, of which every other parent is drawn."""


class Stopwatch:
    """Adds up the time inside of `with watch():`, and that of the processor."""

    def __init__(self) -> None:
        self.seconds = self.cpu = 0.0

    @contextmanager
    def __call__(self) -> Iterator[None]:
        start, cpu = time.perf_counter(), time.process_time()
        yield
        self.seconds += time.perf_counter() - start
        self.cpu += time.process_time() - cpu


def extended(graph: BlockGraph, rng: random.Random) -> BlockGraph:
    """The graph with one more operation in front of a random input."""
    op = make(*rng.choice([("dwconv", {"kernel": 3}), ("dwconv", {"kernel": 5}), ("gelu", {}), ("layer_norm", {})]))
    ops, sources = dict(graph.ops), dict(graph.sources)
    node = rng.choice([*ops, OUTPUT])
    new = f"n{len(ops)}_{rng.randrange(10**6)}"
    place = rng.randrange(len(sources[node]))
    refs = list(sources[node])
    ops[new], sources[new], refs[place] = op, (refs[place],), Ref(new)
    sources[node] = tuple(refs)
    return BlockGraph.from_sources(ops, sources)


def mutated(parent: Genotype, start: Genotype, rng: random.Random) -> Genotype:
    """A child that differs in one or two graphs."""
    child, where = parent, [place for place, _ in parent.subblocks]
    for place in rng.sample(where, rng.choice((1, 1, 2))):
        for graph in (dict(child.subblocks)[place].graph, dict(start.subblocks)[place].graph):
            try:
                if len(graph.ops) < MOST_NODES:
                    child = child.with_graph(place, extended(graph, rng))
                    break
            except uninas.GenotypeError:  # on this grid the operation is not valid
                continue
    return child


def fill(folder: Path, count: int) -> None:
    """Writes the study, and prints what it took."""
    start, rng = uninas.blocks.network("coatnet"), random.Random(0)
    watches = writing, reading, making = Stopwatch(), Stopwatch(), Stopwatch()
    marks: dict[int, list[float]] = {}
    state = {"population": list(range(64)), "statistics": {"duplicates": 0}, "strategy": {"ages": list(range(500))}}
    with Study.create(folder, SETTINGS) as study:
        study.admit([NewCandidate(0, start, None, None, None, 0, 1, 1)], [], state)
        ask = 0
        while study.count <= count:
            ask, first, children = ask + 1, study.count, {}
            while len(children) < GENERATION:
                parent = rng.randrange(rng.choice((0, max(0, first - RECENT))), first)
                with reading():
                    genotype = study.genotype(parent)
                with making():
                    child = mutated(genotype, start, rng)
                    new = child.key not in children
                with writing():
                    if new and study.find(child.key) is None:
                        number = first + len(children)
                        child = study.intern(child)
                        children[child.key] = NewCandidate(number, child, parent, None, "insert", ask, 10**7, 10**9)
            with writing():
                evaluations = [NewEvaluation(c.id, ask, c.id, "search", 0, 1) for c in children.values()]
                study.admit(list(children.values()), evaluations, state)
                for c in children.values():
                    study.genotype(c.id)
                    study.measured(c.id, "search", 0)
                    scores = [Measurement(m, rng.gauss(0, 1), State.MEASURED, None, 2**62 + 1, 0.2) for m in METRICS]
                    study.record(c.id, "search", 0, scores)
                study.tell([e.id for e in evaluations], state)
            marks[study.count] = [watch.seconds for watch in watches] + [writing.cpu]
        report(marks, count)
        print(f"resident memory while writing        {resident():9.0f} MB")
    print(f"file                                 {(folder / 'study.sqlite').stat().st_size / 1e6:9.0f} MB")


def report(marks: dict[int, list[float]], count: int) -> None:
    """Milliseconds a candidate at the beginning and at the end."""
    span = min(1000, count // 2)
    at = sorted(marks)
    after = next(number for number in at if number >= span)
    before = next(number for number in reversed(at) if number <= at[-1] - span)
    for name, low, high in (("first", at[0], after), ("last", before, at[-1])):
        found = [1000 * (marks[high][i] - marks[low][i]) / (high - low) for i in range(4)]
        label = f"ms a candidate, {name} {high - low}"
        print(f"{label:36} {found[0]:9.2f} ({found[3]:.2f} of processor)", flush=True)
        print(f"{'  and to read a parent, to make it':36} {found[1]:9.2f}, {found[2]:.2f}", flush=True)


def read(folder: Path) -> None:
    """Opens the study in the ways it is opened, and prints what each takes."""
    for name, work in (
        ("resume", lambda: Study.resume(folder, SETTINGS).close()),
        ("resume and read every measurement", lambda: load(folder)),
        ("open for reading, count everything", lambda: Study.open(folder).summary()),
        ("rank all by five metrics", lambda: Study.open(folder).best(10)),
        ("find a key and its lineage", lambda: Study.open(folder).lineage(Study.open(folder).count - 1)),
    ):
        start = time.perf_counter()
        work()
        print(f"{name:36} {time.perf_counter() - start:9.2f} s", flush=True)
    print(f"resident memory at the end           {resident():9.0f} MB")


def load(folder: Path) -> None:
    with Study.resume(folder, SETTINGS) as study:
        for _ in study.rows():
            pass
        for _ in study.all_measurements():
            pass


def resident() -> float:
    """Resident memory of this process, in MB (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--candidates", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, help="keep the study here; without, it is deleted")
    arguments = parser.parse_args()
    print(f"resident memory after imports        {resident():9.0f} MB")
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary, "study")
        fill(folder, arguments.candidates)
        read(folder)


if __name__ == "__main__":
    main()
