"""One tiny network of each of many timm families: what users bring along that we did not make."""

from __future__ import annotations

from typing import Any

import timm
import torch
from timm.models.cait import Cait
from timm.models.convmixer import ConvMixer
from timm.models.metaformer import MetaFormer
from timm.models.mlp_mixer import MlpMixer
from timm.models.vgg import VGG
from torch import nn

CLASSES = 5
SMALL: dict[str, tuple[str | type[nn.Module], int, dict[str, Any]]] = {
    "resnet": ("test_resnet", 32, {}),
    "vit": ("test_vit", 32, {"img_size": 32}),
    "convnext": ("test_convnext", 32, {}),
    "efficientnet": ("test_efficientnet", 32, {}),
    "byobnet": ("test_byobnet", 32, {}),
    "nfnet": ("test_nfnet", 32, {}),
    "mobilenetv2": ("mobilenetv2_035", 32, {}),
    "mobilenetv4": ("mobilenetv4_conv_small_035", 32, {}),
    "regnet": ("regnetx_002", 32, {}),
    "convmixer": (ConvMixer, 32, {"dim": 16, "depth": 3, "kernel_size": 5, "patch_size": 4}),
    "densenet": ("densenet121", 32, {"growth_rate": 8, "block_config": (2, 2, 2)}),
    "vgg": (VGG, 32, {"cfg": [8, "M", 16, "M", 24, 24, "M"], "mlp_ratio": 0.01}),
    "inception": ("inception_v3", 75, {}),
    "dla": ("dla46_c", 32, {}),
    "starnet": ("starnet_s050", 32, {}),
    "levit": ("levit_128s", 64, {"img_size": 64}),
    "repvit": ("repvit_m0_9", 64, {}),
    "xcit": ("xcit_nano_12_p16_224", 32, {"depth": 2}),
    "maxvit": ("maxvit_rmlp_pico_rw_256", 64, {"img_size": 64}),
    "swin": ("swin_tiny_patch4_window7_224", 32,
             {"img_size": 32, "window_size": 2, "embed_dim": 16, "depths": (1, 2, 1), "num_heads": (1, 2, 4)}),
    "mobilevit": ("mobilevit_xxs", 64, {}),
    "coatnet": ("coatnet_pico_rw_224", 64, {"img_size": 64}),
    "mixer": (MlpMixer, 32, {"img_size": 32, "patch_size": 8, "num_blocks": 2, "embed_dim": 32}),
    "poolformer": (MetaFormer, 32, {"depths": (1, 1, 2, 1), "dims": (16, 16, 32, 32)}),
    "edgenext": ("edgenext_xx_small", 64, {}),
    "ghostnet": ("ghostnet_050", 32, {}),
    "cait": (Cait, 32, {"img_size": 32, "patch_size": 8, "depth": 2, "embed_dim": 32, "num_heads": 2}),
    "mnasnet": ("mnasnet_small", 32, {}),
}  # fmt: skip
"""Name in timm, or class where names leave no choice of size; side of its images; and what makes it small."""


def family(name: str) -> nn.Module:
    """The network of a family, with weights of seed 0, in training mode as timm hands it over."""
    variant, _, options = SMALL[name]
    state = torch.get_rng_state()
    torch.manual_seed(0)
    if isinstance(variant, str):
        net = timm.create_model(variant, pretrained=False, num_classes=CLASSES, **options)
    else:
        net = variant(num_classes=CLASSES, **options)
    torch.set_rng_state(state)
    return net
