"""uninas beside timm: `import uninas.timm` registers `uninas` and the known networks with `timm.create_model`.

    import timm
    import uninas.timm

    timm.create_model("uninas", genotype="best.yaml", num_classes=10)
    timm.create_model("uninas_coatnet", features_only=True, out_indices=(1, 2, 3))

What `save_for_timm` writes, `timm.create_model("local-dir:FOLDER", pretrained=True)` reads.
"""

from .checkpoint import save_for_timm
from .model import TimmNetwork
from .models import TIMM_NAMES

__all__ = ["TIMM_NAMES", "TimmNetwork", "save_for_timm"]
