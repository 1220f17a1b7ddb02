"""Time and memory of VKDNW's per-sample Jacobian: ours beside torch.func, on the same network and scalars.

    python benchmarks/vkdnw.py                              CoAtNet, 64 x 64, batch 8, 10 classes, 1 thread
    python benchmarks/vkdnw.py --network coatnet_0_rw_224   a network of timm
    python benchmarks/vkdnw.py --theirs DIR                 also torch.func on the paper authors' CoAtNet, whose
                                                            package (pip download uninas==1.3.0) is unpacked in DIR

Every contender runs in processes of its own, in turns; the best of `--repeats` is shown. Times are those of a second
call, as in a search. Memory is what the first call adds to the peak of the resident set (getrusage), with the network
built and after a call on a tiny network, which imports and initialises; the last column is that of the whole process.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from jacrev import jacobian, measured
from torch import Tensor, nn

from uninas.ops.modules.norm import RMSNorm2d
from uninas.proxies.fisher.cholesky import CovarianceFactor
from uninas.proxies.fisher.directions import smoothed
from uninas.proxies.fisher.information import fisher_information


def build(name: str, classes: int, size: int) -> nn.Module:
    """A network of `uninas.blocks`, or else of timm, with weights of seed 0."""
    import uninas

    if name in uninas.blocks.NETWORKS:
        return uninas.build(uninas.blocks.network(name), num_classes=classes, seed=0)
    import timm

    torch.manual_seed(0)
    options: dict[str, Any] = {"num_classes": classes} if "res" in name else {"num_classes": classes, "img_size": size}
    net = timm.create_model(name, **options)
    for module in net.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(module.weight)
    return net


def ours(net: nn.Module, x: Tensor) -> Tensor:
    return fisher_information(net, x).mean(0)


def vmap_jacrev(net: nn.Module, x: Tensor, chunk: int | None = None) -> Tensor:
    """The same matrix with torch.func."""
    found = jacobian(net, x, chunk).double()
    with torch.no_grad():
        factor = CovarianceFactor(smoothed(net(x)))
    rows = factor.transposed_times(found.permute(2, 0, 1)).flatten(1)
    return rows @ rows.T / len(x)


CONTENDERS: dict[str, Callable[[nn.Module, Tensor], Tensor]] = {
    "uninas": ours,
    "vmap(jacrev)": vmap_jacrev,
    "vmap(jacrev), 1 class at a time": lambda net, x: vmap_jacrev(net, x, chunk=1),
}


THEIRS = "vmap(jacrev), authors' network"


def measure_theirs(arguments: argparse.Namespace) -> dict[str, float]:
    """Their package has our import name, so its process gets another path."""
    settings = [f"--{key}={getattr(arguments, key)}" for key in ("size", "batch", "classes", "threads")]
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("jacrev.py").resolve()), *settings],
        capture_output=True, text=True, cwd=arguments.theirs, env={**os.environ, "PYTHONPATH": str(arguments.theirs)},
    )  # fmt: skip
    if done.returncode:
        sys.exit(f"{THEIRS} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def measure(arguments: argparse.Namespace) -> None:
    """In a process of its own: prints seconds and MB, and writes the Fisher matrix."""
    torch.set_num_threads(arguments.threads)
    net = build(arguments.network, arguments.classes, arguments.size)
    x = torch.randn(arguments.batch, 3, arguments.size, arguments.size, generator=torch.Generator().manual_seed(0))
    tiny = nn.Sequential(nn.Conv2d(3, 2, 3), RMSNorm2d(2), nn.Flatten())
    CONTENDERS[arguments.only](tiny, torch.randn(2, 3, 4, 4))
    found = []
    costs = measured(lambda: found.append(CONTENDERS[arguments.only](net, x)))
    torch.save(found[0], arguments.out)
    print(json.dumps(costs))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="coatnet", help="of uninas.blocks, or a name of timm")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--theirs", type=Path, help="folder that holds the authors' package")
    parser.add_argument("--only", choices=CONTENDERS, help=argparse.SUPPRESS)
    parser.add_argument("--out", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.only:
        measure(arguments)
        return
    results: dict[str, list[dict[str, float]]] = {name: [] for name in CONTENDERS}
    fishers: dict[str, Tensor] = {}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(arguments.repeats):
            for name in CONTENDERS:
                out = Path(folder) / "fisher.pt"
                command = [sys.executable, __file__, *sys.argv[1:], "--only", name, "--out", str(out)]
                done = subprocess.run(command, capture_output=True, text=True)
                if done.returncode:
                    sys.exit(f"{name} failed:\n{done.stderr}")
                results[name].append(json.loads(done.stdout.splitlines()[-1]))
                fishers[name] = torch.load(out)
            if arguments.theirs:
                results.setdefault(THEIRS, []).append(measure_theirs(arguments))
    print(f"{arguments.network}, {arguments.size} x {arguments.size}, batch {arguments.batch}, "
          f"{arguments.classes} classes, {arguments.threads} thread(s), torch {torch.__version__}")  # fmt: skip
    header = ("", "wall [s]", "CPU [s]", "peak over idle [MB]", "peak [MB]", "relative difference of F")
    print("{:34}{:>10}{:>10}{:>22}{:>12}{:>28}".format(*header))
    reference = fishers["vmap(jacrev)"]
    for name, runs in results.items():
        best = {key: min(run[key] for run in runs) for key in runs[0]}
        same = fishers.get(name)  # another network has no matrix to compare
        difference = "-" if same is None else f"{float((same - reference).norm() / reference.norm()):.1e}"
        print(f"{name:34}{best['seconds']:10.2f}{best['cpu']:10.2f}{best['extra']:22.0f}{best['peak']:12.0f}"
              f"{difference:>28}")  # fmt: skip


if __name__ == "__main__":
    main()
