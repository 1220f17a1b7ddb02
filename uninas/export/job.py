"""What is exported: a network with its true weights, and which dimensions of its input stay free."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from ..compiler import Network, build
from ..compiler.weights import read_file, tensors_of, without_prefixes
from ..errors import GenotypeError, WeightsError, nearest
from ..genotype import Genotype, cost_parts
from ..ops import Size
from .errors import DynamicError, ExportError

DIMENSIONS = ("batch", "size")
Shape = tuple[int, int, int]
"""Batch, height, width."""


@dataclass(frozen=True)
class Job:
    """A network to export.

    Attributes:
        network: in eval mode, with the weights that are to be written.
        num_classes: of the head; 0: pooled features.
        size: height and width of the images.
        dynamic: dimensions that stay free, of DIMENSIONS; the others are 1 image and `size`.
        weights: where the weights come from; None: the initial ones.
    """

    genotype: Genotype
    network: Network
    num_classes: int
    size: Size
    dynamic: frozenset[str]
    weights: Path | None = None

    @cached_property
    def smallest(self) -> int:
        """The smallest side of an image for which no grid has a side of one position: with one, a dimension is no
        dimension to an exporter, so free sizes start here."""
        side = 2
        while min(_sides(self.genotype, side)) < 2:
            side += 1
        return side

    @property
    def batches(self) -> tuple[int, ...]:
        """Batch sizes at which what was exported is compared."""
        return (1, 2, 5) if "batch" in self.dynamic else (1,)

    @property
    def sizes(self) -> tuple[Size, ...]:
        """Image sizes at which what was exported is compared: the second is no multiple of the stride."""
        if "size" not in self.dynamic:
            return (self.size,)
        stride = self.genotype.strides[-1]
        height, width = self.size
        return self.size, (height + stride // 2 + 1, max(self.smallest, width - stride // 2 - 1))

    @property
    def shapes(self) -> list[Shape]:
        """All that is compared."""
        return [(batch, *size) for size in self.sizes for batch in self.batches]

    def sample(self) -> Tensor:
        """The input that a tracer sees; free dimensions differ from each other and from 1."""
        height, width = self.size
        width += self.genotype.strides[-1] if "size" in self.dynamic and height == width else 0
        return torch.zeros(2 if "batch" in self.dynamic else 1, 3, height, width)

    def free(self) -> dict[int, torch.export.Dim]:
        """The free dimensions of the input, for torch.export."""
        found = {0: torch.export.Dim("batch")} if "batch" in self.dynamic else {}
        if "size" in self.dynamic:
            least = {"min": self.smallest}
            found |= {2: torch.export.Dim("height", **least), 3: torch.export.Dim("width", **least)}
        return found

    def facts(self) -> dict[str, str]:
        """What is written into the file beside the network."""
        height, width = self.size
        return {
            "genotype_key": self.genotype.key,
            "genotype_name": self.genotype.name or "",
            "num_classes": str(self.num_classes),
            "input": f"{'batch' if 'batch' in self.dynamic else 1} x 3 x {height} x {width}",
            "dynamic": ",".join(name for name in DIMENSIONS if name in self.dynamic),
            "smallest_side": str(self.smallest if "size" in self.dynamic else min(self.size)),
            "weights": self.weights.name if self.weights else "initial",
        }


def prepare(
    genotype: Genotype,
    size: Size,
    num_classes: int | None = None,
    dynamic: Collection[str] = ("batch",),
    weights: str | Path | None = None,
) -> Job:
    """A job, checked.

    Args:
        num_classes: None: those of `weights`, or 1000.
        weights: a checkpoint of a training run or a bare state dict; .pth, .pt or .safetensors.

    Raises:
        ExportError: a dimension is unknown or cannot be free at this size; WeightsError: the weights do not fit.
    """
    for name in dynamic:
        if name not in DIMENSIONS:
            raise ExportError(f"--dynamic: there is no dimension {name!r}; {nearest(name, DIMENSIONS)}")
    state = None if weights is None else without_prefixes(tensors_of(read_file(weights), weights))
    if state is not None:
        num_classes = _classes(state, num_classes, weights)
    network = build(genotype, 1000 if num_classes is None else num_classes).eval()
    list(cost_parts(genotype, size, network.num_classes))  # an image that is too small for the network
    if state is not None:
        _load(network, state, weights)
    path = Path(weights) if weights is not None else None
    job = Job(genotype, network.requires_grad_(False), network.num_classes, size, frozenset(dynamic), path)
    if "size" in job.dynamic and min(size) < job.smallest:
        raise DynamicError(
            f"--dynamic size: an image of {size[0]} x {size[1]} leaves one position a side where the network "
            f"downsamples most, and one is no free number; give --input-size {job.smallest} or more, or leave size out"
        )
    return job


def _sides(genotype: Genotype, side: int) -> list[int]:
    """The side of every grid that an image of `side` makes; 0 where it is too small for a patch."""
    size, found = (side, side), []
    layers = list(genotype.stem.layers())
    before = genotype.stem.width
    for stage in genotype.stages:
        layers += stage.downsample.main(before, stage.width)
        before = stage.width
    try:
        for layer in layers:
            size = layer.out_size(size)
            found.append(size[0])
    except GenotypeError:
        return [0]
    return found


def _classes(state: dict[str, Tensor], asked: int | None, weights: object) -> int:
    """The number of classes that was asked for, or else that of the head in `state`."""
    heads = [tensor for name, tensor in state.items() if name.startswith("head.") and tensor.dim() == 2]
    there = len(heads[-1]) if heads else 0
    if asked is None or asked in (0, there):
        return there if asked is None else asked
    if not heads:
        raise WeightsError(f"{weights}: holds no head, so not one for {asked} classes; --classes 0 exports features")
    raise WeightsError(f"{weights}: the head has {there} classes, --classes asks for {asked}")


def _load(network: Network, state: dict[str, Tensor], weights: object) -> None:
    own = network.state_dict()
    for name, tensor in own.items():
        if name not in state:
            if name.endswith("num_batches_tracked"):
                continue
            raise WeightsError(f"{weights}: {name} is missing: these are weights of another genotype")
        if state[name].shape != tensor.shape:
            shapes = f"{tuple(state[name].shape)} there, {tuple(tensor.shape)} here"
            raise WeightsError(f"{weights}: {name} has another shape ({shapes}): weights of another genotype")
    network.load_state_dict({name: state[name] for name in own if name in state}, strict=False)
