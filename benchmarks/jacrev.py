"""The textbook way to VKDNW's per-sample Jacobian, with torch.func. Needs nothing but torch.

PYTHONPATH=THEIRS python benchmarks/jacrev.py     the same on the paper authors' CoAtNet; see vkdnw.py --theirs
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.func import functional_call, jacrev, vmap

SCALARS = 128
KIB = 1024 / 1e6


def jacobian(net: nn.Module, x: Tensor, chunk: int | None = None) -> Tensor:
    """B x C x 128: of the logits by element 0 of the first 128 parameters, mapped over the batch."""
    net.eval()
    weights = {name: p.detach() for name, p in net.named_parameters()} | dict(net.named_buffers())
    names = [name for name, _ in net.named_parameters()][:SCALARS]
    scalars = torch.stack([weights[name].flatten()[0] for name in names])

    def logits(scalars: Tensor, image: Tensor) -> Tensor:
        replaced = {
            name: torch.cat([scalar[None], weights[name].flatten()[1:]]).view(weights[name].shape)
            for name, scalar in zip(names, scalars, strict=True)
        }
        return functional_call(net, weights | replaced, (image[None],))[0]

    return vmap(jacrev(logits, chunk_size=chunk), in_dims=(None, 0))(scalars, x)


def measured(call: Callable[[], object]) -> dict[str, float]:
    """Seconds (wall and CPU) of a second call, and MB that the first adds to the resident set's peak."""
    idle = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    call()
    before = resource.getrusage(resource.RUSAGE_SELF)
    start = time.perf_counter()
    call()
    seconds = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": seconds, "cpu": cpu, "extra": (before.ru_maxrss - idle) * KIB, "peak": before.ru_maxrss * KIB}


def main() -> None:
    """Prints seconds and MB for the network of the `uninas` that this process finds, which is to be the authors'."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("--size", 64), ("--batch", 8), ("--classes", 10), ("--threads", 1)):
        parser.add_argument(name, type=int, default=default)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    from uninas import UNIModel, UNIModelCfg  # type: ignore[attr-defined]

    stages = json.dumps([["E"] * 2, ["E"] * 3, ["T"] * 5, ["T"] * 2])
    net = UNIModel(UNIModelCfg(img_size=arguments.size, num_classes=arguments.classes, model_str=stages))
    x = torch.randn(arguments.batch, 3, arguments.size, arguments.size, generator=torch.Generator().manual_seed(0))
    jacobian(nn.Sequential(nn.Conv2d(3, 2, 3), nn.Flatten()), torch.randn(2, 3, 4, 4))
    costs = measured(lambda: jacobian(net, x))
    print()
    print(json.dumps(costs))


if __name__ == "__main__":
    main()
