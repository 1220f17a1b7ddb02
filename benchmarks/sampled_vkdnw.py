"""VKDNW from random probes beside exact VKDNW, for many classes: how alike they order networks, and how much faster.

    python benchmarks/sampled_vkdnw.py                       # 100 networks, 1,000 classes: 20 minutes
    python benchmarks/sampled_vkdnw.py --networks 10 --probes 20 40 80

Networks are ends of random walks, 1 to 60 moves from narrow starts in turn. Exact VKDNW takes classes - 1 backward
passes, the sampled one as many as there are probes. Scores of both are from the same weights and images.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import torch
from random_walks import SMALL, STARTS, walk
from rich.console import Console
from rich.progress import track
from scipy.stats import kendalltau, spearmanr

import uninas
from uninas.proxies import vkdnw
from uninas.proxies.failures import ProxyFailure
from uninas.search import Space

Run = tuple[float, float]
"""(score, seconds)."""


def timed(net: torch.nn.Module, x: torch.Tensor, probes: int | None = None) -> Run:
    generator = torch.Generator().manual_seed(0)
    start = time.perf_counter()
    return vkdnw(net, x, probes=probes, generator=generator).score, time.perf_counter() - start


def compare(genotype: dict[str, Any], arguments: argparse.Namespace) -> list[Run]:
    """One network, on one thread: exact first, then with each number of probes."""
    torch.set_num_threads(1)
    x = torch.randn(arguments.batch, 3, arguments.size, arguments.size, generator=torch.Generator().manual_seed(0))
    net = uninas.build(uninas.Genotype.from_dict(genotype), num_classes=arguments.classes, seed=arguments.seed)
    return [timed(net, x, probes) for probes in (None, *arguments.probes)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (
        ("networks", 100),
        ("classes", 1000),
        ("batch", 12),
        ("size", 32),
        ("seed", 0),
        ("workers", 2),
    ):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--probes", type=int, nargs="+", default=[40])
    arguments = parser.parse_args()
    space, rng = Space.load("uninas"), random.Random(arguments.seed)
    starts = [uninas.blocks.network(name, **SMALL) for name in STARTS]
    walks = [walk(space, starts[i % len(starts)], rng.randint(1, 60), rng) for i in range(arguments.networks)]
    with ProcessPoolExecutor(arguments.workers, multiprocessing.get_context("spawn")) as pool:
        tasks = [pool.submit(compare, genotype.to_dict(), arguments) for genotype in walks]
        runs, console = [], Console(stderr=True)
        for number, task in enumerate(track(tasks, "scoring", console=console)):
            try:
                runs.append(task.result())
            except ProxyFailure as failure:
                console.print(f"network {number} is left out: {failure}")
            else:
                console.print(*(f"{score:.4f} in {seconds:.1f} s" for score, seconds in runs[-1]), sep="   ")
    exact, *others = zip(*runs, strict=True)
    sampled = dict(zip(arguments.probes, others, strict=True))
    size = f"{arguments.size} x {arguments.size}"
    print(f"{len(runs)} networks, {arguments.classes} classes, batch {arguments.batch}, {size}, 1 thread each")
    print(f"{'probes':>8}{'Spearman':>10}{'Kendall':>9}{'mean |error|':>14}{'s':>9}{'exact s':>9}{'faster':>8}")
    for probes, found in sampled.items():
        scores, true = [score for score, _ in found], [score for score, _ in exact]
        spearman, kendall = spearmanr(true, scores)[0], kendalltau(true, scores)[0]
        error = statistics.fmean(abs(a - b) for a, b in zip(scores, true, strict=True))
        seconds, slow = (statistics.median(s for _, s in rows) for rows in (found, exact))
        cells = f"{error:>14.4f}{seconds:>9.2f}{slow:>9.2f}{slow / seconds:>7.1f}x"
        print(f"{probes:>8}{spearman:>10.3f}{kendall:>9.3f}{cells}")


if __name__ == "__main__":
    main()
