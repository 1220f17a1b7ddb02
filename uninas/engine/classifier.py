"""Image classification as a model of mmengine's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from mmengine.model import BaseModel
from mmengine.registry import MODELS
from timm.data.mixup import Mixup
from timm.loss.binary_cross_entropy import BinaryCrossEntropy
from timm.loss.cross_entropy import LabelSmoothingCrossEntropy, SoftTargetCrossEntropy
from torch import Tensor

from ..compiler import build
from .errors import EngineError


@MODELS.register_module()
class UniNASClassifier(BaseModel):
    """A genotype with its head. Parameters are named `backbone.*` and `head.*`.

    Args:
        backbone: config of a `UniNASBackbone`; its last output goes to the head.
        num_classes: outputs of the head.
        loss: bce is a binary cross-entropy for every class.
        label_smoothing: share of the target that is spread over all classes.
        mixup, cutmix: alphas of the Beta distributions to mix pairs of images from; 0 turns either off.
    """

    def __init__(
        self,
        backbone: Mapping[str, Any],
        num_classes: int,
        loss: Literal["cross_entropy", "bce"] = "cross_entropy",
        label_smoothing: float = 0.0,
        mixup: float = 0.0,
        cutmix: float = 0.0,
        data_preprocessor: Mapping[str, Any] | None = None,
        init_cfg: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(dict(data_preprocessor) if data_preprocessor else None, dict(init_cfg) if init_cfg else None)
        self.backbone = MODELS.build(dict(backbone))
        genotype = self.backbone.genotype
        if len(self.backbone.stages) != len(genotype.stages):
            raise EngineError(f"out_indices: a classifier needs the last stage, {len(genotype.stages) - 1}")
        initial = {key: backbone[key] for key in ("seed", "init") if key in backbone}
        self.head: Any = build(genotype, num_classes, **initial).head
        self.mix: Any = None
        if mixup or cutmix:
            self.mix = Mixup(mixup, cutmix, label_smoothing=label_smoothing, num_classes=num_classes)
        if loss == "bce":
            self.loss: Any = BinaryCrossEntropy(label_smoothing)
        else:
            self.loss = SoftTargetCrossEntropy() if self.mix else LabelSmoothingCrossEntropy(label_smoothing)

    def forward(self, inputs: Tensor, labels: Tensor | None = None, mode: str = "tensor") -> Any:
        """Images B x 3 x H x W and labels B -> logits ("tensor"), {"loss"} ("loss") or a dict an image ("predict")."""
        if mode == "loss":
            if labels is None:
                raise EngineError("a loss needs labels")
            if self.mix is not None:
                inputs, labels = self.mix(inputs, labels)
            return {"loss": self.loss(self.logits(inputs).float(), labels)}
        logits = self.logits(inputs)
        if mode == "tensor":
            return logits
        if labels is None:
            return [{"scores": row} for row in logits.softmax(1)]
        return [{"logits": row, "label": int(label)} for row, label in zip(logits, labels)]

    def logits(self, inputs: Tensor) -> Tensor:
        return self.head(self.backbone(inputs)[-1])
