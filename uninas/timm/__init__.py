"""uninas beside timm: `import uninas.timm` registers `uninas` and the known networks with `timm.create_model`.

    import timm
    import uninas.timm

    timm.create_model("uninas", genotype="best.yaml", num_classes=10)
    timm.create_model("uninas_coatnet", features_only=True, out_indices=(1, 2, 3))

What `save_for_timm` writes, `timm.create_model("local-dir:FOLDER", pretrained=True)` reads. `from_timm("resnet50",
pretrained=True)` is timm's network as a genotype, with timm's weights.
"""

from .checkpoint import save_for_timm
from .model import TimmNetwork
from .models import TIMM_NAMES
from .weights import SAME_AS_TIMM, from_timm

__all__ = ["SAME_AS_TIMM", "TIMM_NAMES", "TimmNetwork", "from_timm", "save_for_timm"]
