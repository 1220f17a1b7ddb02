"""What is done with a trained checkpoint: validating it again, and applying it to pictures.

A checkpoint holds the config that it was trained with, so that it says itself what it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import MODELS, VISUALIZERS, DefaultScope
from mmengine.utils import import_modules_from_strings
from PIL import Image
from timm.data.transforms_factory import create_transform

from .errors import DataError, EngineError
from .run import run_config
from .weights import local_file, read_checkpoint


def config_of(checkpoint: str | Path, data_root: str | None = None) -> Config:
    """The config that a checkpoint was trained with, for the data set in `data_root` if one is given.

    Raises:
        EngineError: the checkpoint cannot be read, or has no config.
    """
    text = read_checkpoint(checkpoint)["meta"].get("cfg")
    if not isinstance(text, str):
        raise EngineError(f"{checkpoint}: holds no config; this needs a checkpoint of `uninas train` or of mmengine")
    cfg = Config.fromstring(text, ".py")
    if data_root is not None:
        dataset, evaluator = cfg.test_dataloader.dataset, cfg.test_evaluator
        key = "root" if "root" in dataset else "data_root"
        old, dataset[key] = dataset[key], f"{data_root.rstrip('/')}/"
        if "ann_file" in evaluator:
            evaluator.ann_file = dataset[key] + evaluator.ann_file.removeprefix(old)
    return cfg


def test_checkpoint(checkpoint: str | Path, cfg: Config, launcher: str | None = None) -> dict[str, float]:
    """The metrics of a checkpoint on its protocol's held-out data. The log goes to `test/` beside the checkpoint.

    Raises:
        EngineError: something does not fit together; DataError: a broken image.
    """
    file = local_file(checkpoint)
    cfg.load_from, cfg.resume, cfg.work_dir = str(file), False, str(file.parent / "test")
    cfg.custom_hooks = []
    cfg.pop("experiment_name", None)  # that of the training, whose log and drawings stay as they are
    metrics = run_config(cfg, launcher, lambda runner: runner.test())
    return {key: float(value) for key, value in metrics.items()}


@dataclass(frozen=True)
class Prediction:
    """What a network says of one picture: of the whole, of each object found, or of each class of pixels."""

    image: Path
    found: tuple[tuple[str, float], ...]
    """Class names with a probability, a score, or the share of the pixels; the largest first."""
    drawing: Path | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return {key: str(value) if isinstance(value, Path) else value for key, value in asdict(self).items()}

    def __str__(self) -> str:
        where = f" -> {self.drawing}" if self.drawing else ""
        return f"{self.image}{where}: " + (", ".join(f"{name} {value:.3f}" for name, value in self.found) or "nothing")


def predict(
    checkpoint: str | Path, images: Sequence[Path], out: Path, threshold: float = 0.3, device: str | None = None
) -> list[Prediction]:
    """Apply a checkpoint to pictures: the five likeliest classes, or boxes, masks and segments drawn into `out`.

    Args:
        threshold: least score of an object that is named and drawn.

    Raises:
        EngineError: the checkpoint cannot be used; DataError: a picture cannot be read.
    """
    cfg, content = config_of(checkpoint), read_checkpoint(checkpoint)
    import_modules_from_strings(**cfg.custom_imports)
    names = [str(name) for name in content["meta"].get("dataset_meta", {}).get("classes") or ()]
    scope = cfg.default_scope
    with DefaultScope.overwrite_default_scope(scope), torch.no_grad():
        model: Any = MODELS.build(cfg.model).eval()
        model.load_state_dict(content["state_dict"])
        model.to(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        if scope == "mmengine":
            return [_classify(cfg, model, names, image) for image in images]
        return [_draw(cfg, model, content["meta"]["dataset_meta"], image, out, threshold) for image in images]


def _pixels(image: Path) -> Image.Image:
    try:
        return Image.open(image).convert("RGB")
    except OSError as problem:
        raise DataError(f"{image}: cannot be read as an image: {problem}") from None


def _classify(cfg: Config, model: Any, names: list[str], image: Path) -> Prediction:
    transform: Any = create_transform(**cfg.test_dataloader.dataset.transform, normalize=False)
    batch = model.data_preprocessor({"inputs": transform(_pixels(image))[None]})
    scores = model(**batch, mode="predict")[0]["scores"].float()
    values, indices = scores.topk(min(5, len(scores)))
    labels = (names[i] if names else f"class {i}" for i in indices.tolist())
    return Prediction(image, tuple(zip(labels, values.tolist())))


def _draw(cfg: Config, model: Any, meta: dict[str, Any], image: Path, out: Path, threshold: float) -> Prediction:
    """mmdet's and mmseg's own test pipeline, `test_step` and visualizer."""
    pixels = np.asarray(_pixels(image))
    steps = [step for step in cfg.test_dataloader.dataset.pipeline if step["type"] != "LoadAnnotations"]
    data: Any = Compose(steps)({"img_path": str(image), "img_id": 0})
    result = model.test_step({key: [value] for key, value in data.items()})[0].cpu()
    visualizer = VISUALIZERS.build({**cfg.visualizer, "vis_backends": None})
    visualizer.dataset_meta = meta
    drawing = out / f"{image.stem}.png"
    out.mkdir(parents=True, exist_ok=True)
    if "pred_instances" in result:
        kept = result.pred_instances[result.pred_instances.scores >= threshold]
        result.pred_instances = kept
        found = [(meta["classes"][label], float(score)) for label, score in zip(kept.labels, kept.scores)]
    else:
        counts = np.bincount(result.pred_sem_seg.data.flatten().numpy(), minlength=len(meta["classes"]))
        found = [(name, float(n / counts.sum())) for name, n in zip(meta["classes"], counts) if n]
    visualizer.add_datasample(image.stem, pixels, result, draw_gt=False, out_file=str(drawing))
    return Prediction(image, tuple(sorted(found, key=lambda pair: -pair[1])), drawing)
