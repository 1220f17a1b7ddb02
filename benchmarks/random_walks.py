"""Genotypes at the ends of random walks: valid, costs exact, numbers finite.

    python benchmarks/random_walks.py                      # 1,000 from each start at full width: hours on one core
    python benchmarks/random_walks.py --count 50 --small   # a minute

Every genotype is the end of a walk of its own, 1 to 60 moves long. It must build; its parameters must equal those of
the built network, and its MACs half of what torch.utils.flop_counter counts on the plain lowering at 48 x 80; and the
logits and all gradients of a training step must be finite at 64 x 64 and 48 x 80.
"""

from __future__ import annotations

import argparse
import random
import time
from collections import Counter
from typing import Any

import torch
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

import uninas
from uninas.search.limits import Limits
from uninas.search.space import Space

SIZES = ((64, 64), (48, 80))
STARTS = ("resnet", "efficientnet", "vit", "coatnet")
SMALL: dict[str, Any] = {"widths": (32, 32, 64, 64), "depths": (1, 1, 1, 1)}
BATCH = 2


def faults(genotype: uninas.Genotype, num_classes: int = 10) -> list[str]:
    """What is wrong with a genotype; nothing, if all is well."""
    found = []
    reread = uninas.Genotype.from_dict(genotype.to_dict())
    if reread.key != genotype.key:
        found.append("file")
    network = uninas.build(genotype, num_classes, passes=())
    if sum(p.numel() for p in network.parameters()) != uninas.cost(genotype, 64, num_classes).params:
        found.append("parameters")
    generator = torch.Generator().manual_seed(0)
    for size in SIZES:
        x = torch.randn(BATCH, 3, *size, generator=generator)
        network.zero_grad()
        logits = network(x)
        F.cross_entropy(logits, torch.arange(BATCH)).backward()
        gradients = [p.grad for p in network.parameters() if p.grad is not None]
        if not logits.isfinite().all():
            found.append("logits")
        if not all(gradient.isfinite().all() for gradient in gradients):
            found.append("gradients")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(x)
    if counter.get_total_flops() != 2 * BATCH * uninas.cost(genotype, SIZES[-1], num_classes).macs:
        found.append("MACs")
    return found


def walk(space: Space, genotype: uninas.Genotype, moves: int, rng: random.Random, limits: Limits | None = None):
    """The end of a random walk."""
    for _ in range(moves):
        genotype = space.mutate(genotype, rng, limits)
    return genotype


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000, help="genotypes from each start")
    parser.add_argument("--moves", type=int, default=60, help="longest walk")
    parser.add_argument("--starts", nargs="+", default=STARTS)
    parser.add_argument("--small", action="store_true", help="narrow, shallow starts instead of the published ones")
    parser.add_argument("--max-params", default=None, help="limit of the walks; none by default")
    parser.add_argument("--space", default="uninas")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    space = Space.load(arguments.space)
    limits = Limits.model_validate({"max_params": arguments.max_params})
    print(f"{'start':<13} {'genotypes':>9} {'distinct':>8} {'faults':>6} {'largest':>8} {'minutes':>7}")
    for start in arguments.starts:
        origin = uninas.blocks.network(start, **SMALL) if arguments.small else uninas.blocks.network(start)
        rng, wrong, keys, largest = random.Random(f"{arguments.seed}/{start}"), Counter(), set(), 0
        began = time.perf_counter()
        for _ in range(arguments.count):
            genotype = walk(space, origin, rng.randint(1, arguments.moves), rng, limits)
            found = faults(genotype)
            wrong.update(found)
            keys.add(genotype.key)
            largest = max(largest, uninas.cost(genotype, 64).params)
            if found:
                print(f"  {found}: {genotype.to_dict()}", flush=True)
        total, minutes = sum(wrong.values()), (time.perf_counter() - began) / 60
        row = f"{start:<13} {arguments.count:9} {len(keys):8} {total:6} {largest / 1e6:7.1f}M {minutes:7.1f}"
        print(row, flush=True)


if __name__ == "__main__":
    main()
