"""Genotype -> initialised torch network."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ..errors import GenotypeError
from ..genotype import Genotype
from .init import initialise
from .lower import Pass
from .network import Network
from .passes import PASSES


def build(
    genotype: Genotype,
    num_classes: int = 1000,
    *,
    seed: int = 0,
    features_only: bool = False,
    out_indices: Sequence[int] | None = None,
    drop_path_rate: float = 0.0,
    passes: Sequence[Pass] = PASSES,
) -> Network:
    """Compiles a genotype.

    Args:
        num_classes: size of the classifier; 0 gives pooled features B x C.
        seed: of the initial weights; global random state is neither read nor written.
        features_only: return the outputs of the stages in `out_indices` (default: all) as a tuple, without a head.
        out_indices: stages, counted from 0; needs `features_only`. Later stages are not built.
        drop_path_rate: stochastic depth at the last block; it rises linearly from 0.
        passes: graph rewrites; `()` gives the plain network, with the same parameters and the same numbers.

    Returns:
        A module on the CPU in training mode that takes B x 3 x H x W of any size.

    Raises:
        GenotypeError: an argument is out of range.
    """
    if type(num_classes) is not int or num_classes < 0:
        raise GenotypeError(f"wants a whole number of at least 0, got {num_classes!r}", "num_classes")
    if not 0 <= drop_path_rate < 1:
        raise GenotypeError(f"wants a rate in [0, 1), got {drop_path_rate!r}", "drop_path_rate")
    indices = None
    if features_only:
        indices = tuple(range(len(genotype.stages))) if out_indices is None else tuple(out_indices)
        _check_indices(indices, len(genotype.stages))
    elif out_indices is not None:
        raise GenotypeError("needs features_only=True", "out_indices")
    with torch.device("meta"):  # shapes only: torch's own initialisation would cost time and global random numbers
        network = Network(genotype, num_classes, indices, drop_path_rate, passes)
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # convolutions follow it
    network = network.to_empty(device="cpu")
    initialise(network, torch.Generator().manual_seed(seed))
    return network


def _check_indices(indices: tuple[int, ...], stages: int) -> None:
    valid = f"stages are counted from 0 to {stages - 1}"
    if not indices or any(type(i) is not int or not 0 <= i < stages for i in indices):
        raise GenotypeError(f"{valid}, got {list(indices)}", "out_indices")
    if list(indices) != sorted(set(indices)):
        raise GenotypeError(f"wants each stage once, in order; got {list(indices)}", "out_indices")
