"""Time of one mutation with its validity and cost check, in milliseconds.

    python benchmarks/mutation.py                    # ours
    python benchmarks/mutation.py --theirs DIR       # and the authors' package (uninas 1.3.0) unpacked in DIR

`from CoAtNet` mutates the start again and again; `along walks` goes on from each child, 60 moves at a time. Theirs has
our import name, so it runs in a process of its own, with the same limit on parameters and on FLOPs (2 a MAC).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import time
from pathlib import Path

MAX_PARAMS, MAX_MACS = 30_000_000, 6_000_000_000

# Prints the seconds of each mutation of CoAtNet as JSON.
THEIRS = r"""
import json, os, sys, time
out = os.fdopen(os.dup(1), "w"); os.dup2(2, 1)
import torch
from uninas import UNIModel, UNIModelCfg, create_new_model
torch.set_num_threads(1); torch.manual_seed(0)
count, params, flops = map(int, sys.argv[1:])
stages = [["E"] * 2, ["E"] * 3, ["T"] * 5, ["T"] * 2]
net = UNIModel(UNIModelCfg(img_size=224, embed_dim=(96, 192, 384, 768), model_str=json.dumps(stages)))
times = []
while len(times) < count:
    start = time.perf_counter()
    child = create_new_model(net, params_max=params, flops_max=flops)
    seconds = time.perf_counter() - start
    if child is not None:
        times.append(seconds)
out.write(json.dumps(times))
"""


def ours(count: int, walk: int) -> list[float]:
    """Seconds of `count` mutations; back to CoAtNet after `walk` moves."""
    from uninas.search.limits import Limits
    from uninas.search.space import Space

    space = Space.load("uninas")
    start, limits = space.start("coatnet"), Limits(max_params=MAX_PARAMS, max_macs=MAX_MACS)
    rng, times, genotype = random.Random(0), [], start
    for i in range(count):
        if i % walk == 0:
            genotype = start
        began = time.perf_counter()
        genotype = space.mutate(genotype, rng, limits)
        times.append(time.perf_counter() - began)
    return times


def theirs(folder: Path, count: int) -> list[float]:
    """Seconds of `count` mutations that their package made of its CoAtNet."""
    command = [sys.executable, "-c", THEIRS, str(count), str(MAX_PARAMS), str(2 * MAX_MACS)]
    found = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(folder)}, cwd=folder, capture_output=True, text=True
    )
    if found.returncode:
        raise SystemExit(f"their package failed:\n{found.stderr}")
    return json.loads(found.stdout)


def row(name: str, times: list[float]) -> None:
    milliseconds = sorted(1000 * seconds for seconds in times)
    p95 = milliseconds[int(0.95 * (len(milliseconds) - 1))]
    median = statistics.median(milliseconds)
    print(f"{name:<22} {len(times):6} {median:9.2f} {p95:9.2f} {milliseconds[-1]:9.2f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--theirs", type=Path, help="folder that holds the authors' package")
    parser.add_argument("--their-count", type=int, default=30)
    arguments = parser.parse_args()
    print(f"{'':<22} {'count':>6} {'median ms':>9} {'p95 ms':>9} {'max ms':>9}")
    row("from CoAtNet", ours(arguments.count, 1))
    row("along walks", ours(arguments.count, 60))
    if arguments.theirs:
        row("theirs, from CoAtNet", theirs(arguments.theirs, arguments.their_count))


if __name__ == "__main__":
    main()
