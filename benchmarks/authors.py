"""Build and forward against the paper authors' package, interleaved in one run.

    python benchmarks/authors.py                       # installs theirs (uninas 1.3.0) into a folder of its own
    python benchmarks/authors.py --theirs DIR          # or takes it from DIR

Theirs has our import name, so it lives in another folder and runs in another process; the two take turns, and each
ratio is between the medians of turns that alternate. Times in seconds; forward at 224 x 224, batch 2, 2 threads, eval.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

NETWORKS = ("resnet", "efficientnet", "vit", "coatnet")

# Speaks JSON lines: {"do": "build" | "forward", "network": name, "repeat": n} -> seconds, or "exit".
THEIRS = r"""
import json, os, sys, time
out = os.fdopen(os.dup(1), "w"); os.dup2(2, 1)          # their package prints; keep our channel clean
import torch
from uninas import UNIModel, UNIModelCfg
threads, examples = int(sys.argv[1]), None
torch.set_num_threads(threads)
letters = {"resnet": "R", "efficientnet": "E", "vit": "T"}
widths = {"resnet": (64, 128, 384, 512), "efficientnet": (96, 192, 384, 512)}
def config(name):
    stages = [["E"] * 2, ["E"] * 3, ["T"] * 5, ["T"] * 2]
    if name in letters:
        stages = [[letters[name]] * n for n in (2, 3, 5, 2)]
    return UNIModelCfg(img_size=224, embed_dim=widths.get(name, (96, 192, 384, 768)), model_str=json.dumps(stages))
nets, x = {}, torch.randn(2, 3, 224, 224)
for line in sys.stdin:
    order = json.loads(line)
    name = order["network"]
    if order["do"] == "build":
        start = time.perf_counter(); nets[name] = UNIModel(config(name)).eval(); seconds = time.perf_counter() - start
    elif order["do"] == "drop":
        nets.pop(name, None); seconds = 0.0
    else:
        with torch.inference_mode():
            start = time.perf_counter(); nets[name](x); seconds = time.perf_counter() - start
    out.write(json.dumps(seconds) + "\n"); out.flush()
"""


class Theirs:
    """The authors' package in a process of its own."""

    def __init__(self, folder: Path, threads: int, program: str = THEIRS) -> None:
        environment = {**os.environ, "PYTHONPATH": str(folder)}
        self.process = subprocess.Popen(
            [sys.executable, "-c", program, str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
            cwd=folder,
        )

    def ask(self, **order: Any) -> Any:
        """What the program answers to an order."""
        assert self.process.stdin and self.process.stdout  # noqa: S101  (given as pipes above)
        self.process.stdin.write(json.dumps({k: str(v) if isinstance(v, Path) else v for k, v in order.items()}) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def time(self, do: str, network: str) -> float:
        return self.ask(do=do, network=network)


def install(folder: Path) -> None:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder), "uninas==1.3.0"]
    subprocess.run(command, check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--theirs", type=Path, help="folder that holds the authors' package")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--turns", type=int, default=7)
    options = parser.parse_args()
    # Threads that wait must not burn the cores that the other process is about to be timed on.
    os.environ.update(OMP_NUM_THREADS=str(options.threads), OMP_WAIT_POLICY="PASSIVE")

    import torch

    import uninas

    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.theirs or Path(scratch)
        if not options.theirs:
            install(folder)
        theirs = Theirs(folder, options.threads)
        x = torch.randn(2, 3, 224, 224)
        print(f"{'':24}{'ours':>10}{'theirs':>10}{'ratio':>8}")
        for name in NETWORKS:
            genotype = uninas.blocks.network(name)
            builds, forwards = ([], []), ([], [])
            for _ in range(3):
                start = time.perf_counter()
                network = uninas.build(genotype).eval()
                builds[0].append(time.perf_counter() - start)
                builds[1].append(theirs.time("build", name))
            for turn in range(options.turns + 1):
                with torch.inference_mode():
                    start = time.perf_counter()
                    network(x)
                    seconds = time.perf_counter() - start
                if turn:  # the first turn warms up
                    forwards[0].append(seconds)
                    forwards[1].append(theirs.time("forward", name))
                else:
                    theirs.time("forward", name)
            theirs.time("drop", name)
            for what, times in (("build", builds), ("forward", forwards)):
                ours, other = (statistics.median(t) for t in times)
                print(f"{what + ' ' + name:24}{ours:10.3f}{other:10.3f}{other / ours:8.2f}", flush=True)
        theirs.process.kill()


if __name__ == "__main__":
    main()
