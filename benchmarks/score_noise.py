"""Noise of VKDNW as a score: how far apart seeds of one network lie, against how far apart networks lie.

    python benchmarks/score_noise.py                 # 20 networks of a walk from CoAtNet, a table row a setting

seeds       standard deviation between initialisations of one network (with their noise images)
networks    standard deviation between networks, the part that is not noise
R(n)        reliability of a mean over n seeds: networks^2 / (networks^2 + seeds^2 / n); 1 is noise-free
s           seconds of processor time for one score with one thread, median
R in 4 s    reliability of as many seeds as fit into 4 seconds
"""

from __future__ import annotations

import argparse
import random
import statistics
import time

from uninas.genotype import Genotype
from uninas.search import Limits, Space
from uninas.search.executors import Task, make_executor
from uninas.search.scoring import ProxyScorer
from uninas.search.threads import torch_threads

SETTINGS = ((8, 32), (8, 48), (8, 64), (16, 32), (16, 48), (16, 64), (32, 32))
"""(batch, side of the image)"""
BUDGET = 4.0
METRIC = "vkdnw"


def walk(space: Space, start: str, count: int, moves: int, max_params: str, seed: int) -> list[Genotype]:
    """`count` networks along a random walk, `moves` moves apart."""
    genotype, rng, limits = space.start(start), random.Random(seed), Limits.model_validate({"max_params": max_params})
    found = [genotype]
    while len(found) < count:
        for _ in range(moves):
            genotype = space.mutate(genotype, rng, limits)
        found.append(genotype)
    return found


def measure(networks: list[Genotype], scorer: ProxyScorer, seeds: int, workers: int) -> tuple[float, float, float, int]:
    """(deviation between seeds, between networks, seconds of a score, failures)."""
    seconds = statistics.median(processor_seconds(scorer, genotype) for genotype in networks[:5])
    pool = make_executor(scorer, workers)
    for i, genotype in enumerate(networks):
        for repeat in range(seeds):
            pool.submit(Task(i * seeds + repeat, genotype, "search", repeat, (METRIC,)))
    scores = [found[0] for _, found in sorted(pool.results(), key=lambda result: result[0])]
    pool.close()
    groups = [[s.value for s in scores[i : i + seeds]] for i in range(0, len(scores), seeds)]
    complete = [[value for value in group if value is not None] for group in groups if None not in group]
    within = statistics.fmean(statistics.variance(group) for group in complete)
    between = statistics.variance(statistics.fmean(group) for group in complete) - within / seeds
    return within**0.5, max(between, 0.0) ** 0.5, seconds, len(groups) - len(complete)


def processor_seconds(scorer: ProxyScorer, genotype: Genotype) -> float:
    """Of one score in this process; other work on the machine does not count."""
    with torch_threads(1):
        start = time.process_time()
        scorer.measure(genotype, "fresh", 0, (METRIC,))
        return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=4, help="initialisations of each network")
    parser.add_argument("--moves", type=int, default=3, help="moves between two networks of the walk")
    parser.add_argument("--start", default="coatnet")
    parser.add_argument("--max-params", default="30M")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--settings", nargs="+", metavar="BATCHxSIDE", help="such as 8x48; default: a table of them")
    arguments = parser.parse_args()
    networks = walk(
        Space.load("uninas"), arguments.start, arguments.networks, arguments.moves, arguments.max_params, arguments.seed
    )
    print(f"{len(networks)} networks of a walk from {arguments.start}, {arguments.seeds} seeds each, 10 classes")
    print("batch size   seeds networks  R(1)  R(2)  R(4)      s R in 4 s")
    settings = [tuple(map(int, text.split("x"))) for text in arguments.settings or ()] or SETTINGS
    for batch, side in settings:
        scorer = ProxyScorer((side, side), batch, 10, arguments.seed)
        within, between, seconds, failed = measure(networks, scorer, arguments.seeds, arguments.workers)

        def reliability(repeats: float, noise: float = within, signal: float = between) -> float:
            return signal**2 / (signal**2 + noise**2 / repeats)

        cells = " ".join(f"{reliability(n):5.2f}" for n in (1, 2, 4))
        note = f"   ({failed} networks could not be scored)" if failed else ""
        in_budget = reliability(max(BUDGET / seconds, 1e-9))
        row = f"{batch:5} {side:4} {within:7.4f} {between:8.4f} {cells} {seconds:6.2f} {in_budget:8.2f}{note}"
        print(row, flush=True)


if __name__ == "__main__":
    main()
