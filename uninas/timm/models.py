"""timm's entry points: `uninas` for any genotype, and `uninas_NAME` for each known network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from timm.models._builder import build_model_with_cfg
from timm.models._registry import generate_default_cfgs, register_model
from torch import Tensor, nn

from ..blocks.networks import DESIGN_SIZE, KNOWN, as_genotype, network
from ..compiler.weights import ignoring_other_types, without_prefixes
from ..errors import GenotypeError
from ..genotype import Genotype
from .model import TimmNetwork

TIMM_NAMES = {f"uninas_{name}": name for name in KNOWN}
"""Known networks by the name that timm knows them by."""

default_cfgs = generate_default_cfgs({name: {"first_conv": "stem.0"} for name in ("uninas", *TIMM_NAMES)})
"""timm's facts on inputs and classifier, where `register_model` looks for them. None has weights."""

NETWORK_SETTINGS = ("widths", "depths", "blocks", "img_size")
"""What the known networks take beside `TimmNetwork`'s own arguments."""


def uninas(pretrained: bool = False, **settings: Any) -> nn.Module:
    """Any genotype.

    Args:
        genotype: a file, its content as a dict, a `Genotype`, or the name of a known network.
        settings: those of `TimmNetwork`, and timm's own: features_only, out_indices, pretrained_cfg_overlay, ...

    Raises:
        GenotypeError: there is no genotype, or it is not valid.
    """
    if "genotype" not in settings:
        raise GenotypeError('is missing: create_model("uninas", genotype="best.yaml")', "genotype")
    return _create("uninas", as_genotype(settings.pop("genotype")), pretrained, settings)


def _known(timm_name: str, name: str) -> Callable[..., nn.Module]:
    def entry(pretrained: bool = False, **settings: Any) -> nn.Module:
        chosen = {key: settings.pop(key) for key in NETWORK_SETTINGS if key in settings}
        side = chosen.pop("img_size", DESIGN_SIZE)
        genotype = network(name, **chosen, input_size=side if isinstance(side, int) else max(side))
        return _create(timm_name, genotype, pretrained, settings)

    entry.__name__ = entry.__qualname__ = timm_name
    entry.__doc__ = (
        f"The known network `{name}`; `uninas.blocks.network` has widths, depths and blocks. `img_size` is the side\n"
        "of images for whose grids relative position bias tables are made; any other size works too."
    )
    return entry


def _create(timm_name: str, genotype: Genotype, pretrained: bool, settings: dict[str, Any]) -> nn.Module:
    """The model by timm's builder, with what depends on the genotype in its configuration."""
    overlay: dict[str, Any] = {
        "first_conv": "stem.0",
        "classifier": f"head.{len(genotype.head.layers(genotype.stages[-1].width, 1)) - 1}",
    }
    given = settings.pop("pretrained_cfg_overlay", None) or {}
    whole = settings.get("pretrained_cfg")
    if "input_size" not in given and not isinstance(whole, dict):
        side = -(-DESIGN_SIZE // genotype.strides[-1])
        overlay["pool_size"] = (side, side)
    file = given.get("file") or (whole.get("file") if isinstance(whole, dict) else getattr(whole, "file", None))
    with ignoring_other_types(file or ""):  # a checkpoint of our training has its log, too
        return build_model_with_cfg(
            TimmNetwork,
            timm_name,
            pretrained,
            pretrained_cfg_overlay={**overlay, **given},
            pretrained_filter_fn=without_prefix,
            feature_cfg={
                "out_indices": tuple(range(len(genotype.stages))),
                "feature_cls": "getter",
                "flatten_sequential": True,
            },
            genotype=genotype,
            **settings,
        )


def without_prefix(state: dict[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """A state dict under this model's names, as timm calls it."""
    return without_prefixes(state)


register_model(uninas)
for _timm_name, _name in TIMM_NAMES.items():
    globals()[_timm_name] = register_model(_known(_timm_name, _name))
