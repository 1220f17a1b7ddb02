"""How many networks each export takes: the known ones, and random ones of two spaces.

    python benchmarks/export_matrix.py                                   # ONNX, torch.export, source
    python benchmarks/export_matrix.py --out matrix.jsonl                # goes on where it was interrupted
    python benchmarks/export_matrix.py --to onnx --dynamic batch,size --networks 5
    python benchmarks/export_matrix.py --timing                          # onnxruntime beside eager, known networks

A network counts where `export_network` wrote it, that is where all outputs agreed to 1e-4 at batches of 1, 2 and 5 with
statistics and scales that are not the initial ones. Where it did not, the reason is printed.

Random networks are 40 mutations away from the starting points of `uninas_tiny` and `uninas`, in turn, and as large as
the space has them; the known ones have widths of 32 to 128 (--full: their own).
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch

import uninas
from uninas.blocks.networks import NETWORKS
from uninas.errors import UninasError
from uninas.export import aoti, onnx, program
from uninas.export.job import prepare
from uninas.export.run import SUFFIXES, export_network, parse_dynamic
from uninas.export.source import write as source
from uninas.export.verify import trained_twin
from uninas.search import Space

SPACES = ("uninas_tiny", "uninas")
KNOWN = ("resnet", "efficientnet", "vit", "coatnet", "convnext")
SMALL = {"widths": (32, 64, 96, 128), "depths": (1, 1, 2, 1), "input_size": 64}


def networks(count: int, seed: int, full: bool) -> Iterator[tuple[str, uninas.Genotype]]:
    """(name, genotype): the known ones, then `count` random ones of each space."""
    for name in KNOWN:
        if name in NETWORKS:
            yield name, uninas.blocks.network(name, **({} if full else SMALL))
    for space in SPACES:
        found = Space.load(space)
        for number in range(count):
            rng = random.Random(f"{seed}/{space}/{number}")
            genotype = found.start(found.starts[number % len(found.starts)])
            for _ in range(40):
                genotype = found.mutate(genotype, rng)
            yield f"{space} {number}", genotype


class Tried(NamedTuple):
    """What one form made of one network."""

    network: str
    key: str
    """Of the genotype."""
    form: str
    size: int
    dynamic: str
    seconds: float
    difference: float | None = None
    """The largest of all comparisons; None where nothing was written."""
    lines: int = 0
    """Of the source."""
    note: str = ""
    error: str | None = None

    def __str__(self) -> str:
        if self.error is not None:
            return f"{self.network}: {self.form}: {self.error}"
        return f"{self.network:16} {self.form:13} {self.difference:.1e} {self.seconds:6.1f} s  {self.note}"


class Log:
    """All that was tried, a JSON object a line.

    Args:
        path: of the file, which may hold lines of earlier runs; None keeps nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        lines = path.read_text().splitlines() if path is not None and path.exists() else []
        self.found = {(t.key, t.form, t.size, t.dynamic): t for t in (Tried(**json.loads(line)) for line in lines)}

    def add(self, tried: Tried) -> None:
        print(tried, flush=True)
        if self.path is not None:
            with self.path.open("a") as file:
                file.write(json.dumps(tried._asdict()) + "\n")


def matrix(arguments: argparse.Namespace) -> None:
    forms = arguments.to.split(",")
    log, results = Log(arguments.out), []
    for name, genotype in networks(arguments.networks, arguments.seed, arguments.full):
        keys = {form: (genotype.key, form, arguments.size, arguments.dynamic) for form in forms}
        results += [log.found[keys[form]] for form in forms if keys[form] in log.found]
        missing = [form for form in forms if keys[form] not in log.found]
        for tried in attempts(name, genotype, missing, arguments) if missing else []:
            log.add(tried)
            results.append(tried)
    print()
    for form in forms:
        tried = [each for each in results if each.form == form]
        written = [each for each in tried if each.error is None]
        for each in (each for each in tried if each.error is not None):
            print(each)
        if written:
            worst = max(each.difference or 0.0 for each in written)
            took = statistics.median(each.seconds for each in written)
            print(f"{form:13} {len(written)} of {len(tried)}, largest difference {worst:.1e}, median {took:.1f} s")
        else:
            print(f"{form:13} none of {len(tried)}")
        if written and form == "source":
            lines = [each.lines for each in written]
            print(f"source        median {statistics.median(lines):.0f} lines, longest {max(lines)}")


def attempts(name: str, genotype: uninas.Genotype, forms: list[str], arguments: argparse.Namespace) -> Iterator[Tried]:
    """What each form makes of a network; torch.export looks at it once for all of them."""
    started = time.perf_counter()
    size = arguments.size, arguments.size
    job = prepare(genotype, size, 10, parse_dynamic(arguments.dynamic))
    twin = trained_twin(job.network, torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0)))
    traced: Any = None
    refused: UninasError | None = None
    try:
        traced = program.trace(job) if set(forms) != {"source"} else None
    except UninasError as error:
        refused = error
    tracing = time.perf_counter() - started
    with tempfile.TemporaryDirectory() as folder:
        for form in forms:
            of = Tried(name, genotype.key, form, arguments.size, arguments.dynamic, tracing)
            if form != "source" and refused is not None:
                yield of._replace(error=str(refused))
                continue
            started, path = time.perf_counter(), Path(folder) / f"{form.replace('-', '_')}{SUFFIXES[form]}"
            notes: list[str] = []
            try:
                if form == "source":
                    checks, _ = source.write(job, twin, path, None)
                elif form == "onnx":
                    checks, notes = onnx.write(traced, job, twin, path)
                elif form == "aoti":
                    checks, _ = aoti.write(traced, job, twin, path)
                else:
                    checks = program.write(traced, job, twin, path)
            except UninasError as error:
                yield of._replace(error=str(error))
                continue
            took = time.perf_counter() - started + (tracing if form != "source" else 0.0)
            count = len(path.read_text().splitlines()) if form == "source" else 0
            yield of._replace(
                seconds=took, difference=max(check.difference for check in checks), lines=count, note="; ".join(notes)
            )


def timing(arguments: argparse.Namespace) -> None:
    for name, genotype in networks(0, arguments.seed, arguments.full):
        net = uninas.build(genotype, 10).eval()
        images = torch.randn(arguments.batch, 3, arguments.size, arguments.size)
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "n.onnx"
            export_network(genotype, "onnx", out, input_size=(arguments.size, arguments.size), num_classes=10)
            opened, fed = onnx.session(str(out), arguments.threads), {"images": images.numpy()}

            def eager(net: torch.nn.Module = net, images: torch.Tensor = images) -> object:
                with torch.inference_mode():
                    return net(images)

            ours, theirs = alternate(eager, lambda opened=opened, fed=fed: opened.run(None, fed), arguments.repeats)
        print(
            f"{name:13} eager {1000 * ours:8.2f} ms   onnxruntime {1000 * theirs:8.2f} ms   {theirs / ours:.2f}x",
            flush=True,
        )


def alternate(first: Callable[[], object], second: Callable[[], object], repeats: int) -> tuple[float, float]:
    """The least seconds of each, taken in turn: what else a machine does only adds to them."""
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(repeats + 2):
        for function, found in zip((first, second), times):
            started = time.perf_counter()
            function()
            if number >= 2:  # behind the first calls, which prepare
                found.append(time.perf_counter() - started)
    return min(times[0]), min(times[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--to", default="onnx,torch-export,source", help=f"of {', '.join(SUFFIXES)}")
    parser.add_argument("--networks", type=int, default=15, help="random networks of each space")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="a line of JSON a try; what it holds is not tried again"
    )
    parser.add_argument("--size", type=int, default=64, help="image side")
    parser.add_argument("--dynamic", default="batch", help="free dimensions: batch, size, both or none")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--full", action="store_true", help="known networks at their own widths and depths")
    parser.add_argument("--timing", action="store_true", help="time onnxruntime beside eager instead")
    parser.add_argument("--batch", type=int, default=4, help="images of a timed forward")
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    (timing if arguments.timing else matrix)(arguments)


if __name__ == "__main__":
    main()
