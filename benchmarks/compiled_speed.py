"""torch.compile beside eager mode, on the known networks.

    python benchmarks/compiled_speed.py                                # 224 x 224, batch 2
    python benchmarks/compiled_speed.py --networks coatnet --threads 1

The two take turns, pass by pass, so that what else the machine does meets both; each ratio is between the medians of
their passes. Evaluation mode, no gradients, one fixed shape. Before anything is timed the outputs are compared.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence

import torch

import uninas
from uninas.export.quiet import quiet

KNOWN = ("resnet", "efficientnet", "vit", "coatnet", "convnext")
WARM_UP_TURNS = 3


def in_turns(functions: Sequence[Callable[[], object]], repeats: int) -> list[float]:
    """The median seconds of each."""
    times: list[list[float]] = [[] for _ in functions]
    for turn in range(WARM_UP_TURNS + repeats):
        for function, found in zip(functions, times):
            started = time.perf_counter()
            function()
            if turn >= WARM_UP_TURNS:
                found.append(time.perf_counter() - started)
    return [statistics.median(found) for found in times]


def measure(name: str, arguments: argparse.Namespace) -> str:
    """A row of the table."""
    network = uninas.build(uninas.blocks.network(name), 1000).eval()
    shape = arguments.batch, 3, arguments.size, arguments.size
    images = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    compiled = torch.compile(network, dynamic=False)
    with torch.inference_mode():
        expected = network(images)
        started = time.perf_counter()
        with quiet():
            found = compiled(images)
        compiling = time.perf_counter() - started
        difference = ((found - expected).abs().max() / expected.abs().max()).item()
        eager, fast = in_turns([lambda: network(images), lambda: compiled(images)], arguments.repeats)
    return (
        f"| `{name}` | {1000 * eager:.0f} ms | {1000 * fast:.0f} ms | {fast / eager:.2f} | {compiling:.0f} s "
        f"| {difference:.1e} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=KNOWN, metavar="NAME")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--size", type=int, default=224, help="image side")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=20, help="timed passes of each")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print("| network | eager | torch.compile | compiled / eager | to compile | outputs differ by |")
    print("|---|---|---|---|---|---|", flush=True)
    for name in arguments.networks:
        torch.compiler.reset()
        print(measure(name, arguments), flush=True)


if __name__ == "__main__":
    main()
