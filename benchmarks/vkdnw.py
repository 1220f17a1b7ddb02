"""Time and memory of VKDNW's per-sample Jacobian: ours beside torch.func, on the same network and scalars.

    python benchmarks/vkdnw.py                              CoAtNet, 64 x 64, batch 8, 10 classes, 1 thread
    python benchmarks/vkdnw.py --network coatnet_0_rw_224   a network of timm

Every contender runs in processes of its own, in turns, and the best of `--repeats` is shown. Memory is the peak of the
resident set (getrusage) over what it was with the network built and after a first call on a tiny network, which
imports and initialises; the last column is that of the whole process.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, jacrev, vmap

from uninas.ops.norm import RMSNorm2d
from uninas.proxies.cholesky import CovarianceFactor
from uninas.proxies.fisher import smoothed
from uninas.proxies.vkdnw import vkdnw


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
    return vkdnw(net, x).fisher


def vmap_jacrev(net: nn.Module, x: Tensor, chunk: int | None = None) -> Tensor:
    """The textbook: the Jacobian of the logits with respect to the vector of scalars, mapped over the batch."""
    net.eval()
    weights = {name: p.detach() for name, p in net.named_parameters()} | dict(net.named_buffers())
    names = [name for name, _ in net.named_parameters()][:128]
    scalars = torch.stack([weights[name].flatten()[0] for name in names])

    def logits(scalars: Tensor, image: Tensor) -> Tensor:
        replaced = {
            name: torch.cat([scalar[None], weights[name].flatten()[1:]]).view(weights[name].shape)
            for name, scalar in zip(names, scalars, strict=True)
        }
        return functional_call(net, weights | replaced, (image[None],))[0]

    jacobian = vmap(jacrev(logits, chunk_size=chunk), in_dims=(None, 0))(scalars, x).double()
    with torch.no_grad():
        factor = CovarianceFactor(smoothed(net(x)))
    rows = factor.transposed_times(jacobian.permute(2, 0, 1)).flatten(1)
    return rows @ rows.T / len(x)


CONTENDERS: dict[str, Callable[[nn.Module, Tensor], Tensor]] = {
    "uninas": ours,
    "vmap(jacrev)": vmap_jacrev,
    "vmap(jacrev), 1 class at a time": lambda net, x: vmap_jacrev(net, x, chunk=1),
}


def measure(arguments: argparse.Namespace) -> None:
    """In a process of its own: prints seconds and MB, and writes the Fisher matrix."""
    torch.set_num_threads(arguments.threads)
    net = build(arguments.network, arguments.classes, arguments.size)
    x = torch.randn(arguments.batch, 3, arguments.size, arguments.size, generator=torch.Generator().manual_seed(0))
    tiny = nn.Sequential(nn.Conv2d(3, 2, 3), RMSNorm2d(2), nn.Flatten())
    CONTENDERS[arguments.only](tiny, torch.randn(2, 3, 4, 4))
    before = resource.getrusage(resource.RUSAGE_SELF)
    start = time.perf_counter()
    fisher = CONTENDERS[arguments.only](net, x)
    seconds = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_SELF)
    torch.save(fisher, arguments.out)
    kib = 1024 / 1e6
    print(json.dumps({
        "seconds": seconds, "cpu": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "extra": (after.ru_maxrss - before.ru_maxrss) * kib, "peak": after.ru_maxrss * kib,
    }))  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="coatnet", help="of uninas.blocks, or a name of timm")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
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
    print(f"{arguments.network}, {arguments.size} x {arguments.size}, batch {arguments.batch}, "
          f"{arguments.classes} classes, {arguments.threads} thread(s), torch {torch.__version__}")  # fmt: skip
    header = ("", "wall [s]", "CPU [s]", "peak over idle [MB]", "peak [MB]", "relative difference of F")
    print("{:34}{:>10}{:>10}{:>22}{:>12}{:>28}".format(*header))
    reference = fishers["vmap(jacrev)"]
    for name, runs in results.items():
        best = {key: min(run[key] for run in runs) for key in runs[0]}
        difference = float((fishers[name] - reference).norm() / reference.norm())
        print(f"{name:34}{best['seconds']:10.2f}{best['cpu']:10.2f}{best['extra']:22.0f}{best['peak']:12.0f}"
              f"{difference:28.1e}")  # fmt: skip


if __name__ == "__main__":
    main()
