"""Genotype -> initialised torch network."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import GenotypeError
from ..genotype import Genotype
from ..genotype.frame import IMAGE_CHANNELS, check_bool, check_choice, check_whole
from .init import INITS, Init, initialise, without_initialisation
from .network import Network
from .passes import PASSES, Pass


def build(
    genotype: Genotype,
    num_classes: int = 1000,
    *,
    seed: int = 0,
    features_only: bool = False,
    out_indices: Sequence[int] | None = None,
    drop_path_rate: float = 0.0,
    passes: Sequence[Pass] = PASSES,
    in_chans: int = IMAGE_CHANNELS,
    init: Init = "search",
) -> Network:
    """Compiles a genotype.

    Args:
        num_classes: size of the classifier; 0 gives pooled features B x C.
        seed: of the initial weights; global random state is neither read nor written.
        features_only: return the outputs of the stages in `out_indices` (default: all) as a tuple, without a head.
        out_indices: stages, counted from 0; needs `features_only`. Later stages are not built.
        drop_path_rate: stochastic depth at the last block; it rises linearly from 0.
        passes: graph rewrites; `()` gives the plain network, with the same parameters and the same numbers.
        in_chans: channels of the image. (Costs are those of colour images.)
        init: `search` for weights that scores are defined on, `train` for those that a long training starts from; see
            `uninas.compiler.init.initialise`.

    Returns:
        A module on the CPU in training mode that takes B x in_chans x H x W of any size.

    Raises:
        GenotypeError: an argument is out of range.
    """
    if not isinstance(genotype, Genotype):
        raise GenotypeError(f"wants a Genotype, got {type(genotype).__name__}; Genotype.load reads a file", "genotype")
    check_whole(num_classes, "num_classes", minimum=0)
    check_whole(in_chans, "in_chans")
    check_choice(init, INITS, "init", optional=False)
    if type(seed) is not int:
        raise GenotypeError(f"wants a whole number, got {seed!r}", "seed")
    check_bool(features_only, "features_only")
    number = isinstance(drop_path_rate, (int, float)) and not isinstance(drop_path_rate, bool)
    if not number or not 0 <= drop_path_rate < 1:
        raise GenotypeError(f"wants a rate in [0, 1), got {drop_path_rate!r}", "drop_path_rate")
    if not isinstance(passes, (list, tuple)) or not all(callable(rewrite) for rewrite in passes):
        raise GenotypeError(f"wants a list of functions such as uninas.compiler.PASSES, got {passes!r}", "passes")
    indices = None
    if features_only:
        indices = _indices(out_indices, len(genotype.stages))
    elif out_indices is not None:
        raise GenotypeError("needs features_only=True", "out_indices")
    with without_initialisation():
        network = Network(genotype, num_classes, indices, drop_path_rate, passes, in_chans)
    initialise(network, seed, init)
    return network


def _indices(given: Sequence[int] | None, stages: int) -> tuple[int, ...]:
    """The stages to return, checked."""
    if given is None:
        return tuple(range(stages))
    if not isinstance(given, (list, tuple, range)):
        raise GenotypeError(f"wants a list of stages, got {given!r}", "out_indices")
    if not given or any(type(i) is not int or not 0 <= i < stages for i in given):
        raise GenotypeError(f"stages are counted from 0 to {stages - 1}, got {list(given)}", "out_indices")
    if list(given) != sorted(set(given)):
        raise GenotypeError(f"wants each stage once, in order; got {list(given)}", "out_indices")
    return tuple(given)
