"""The settings of a training protocol, typed; `uninas.engine.protocol` reads them from files."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Rate = Annotated[float, Field(ge=0, lt=1)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Side = Annotated[int, Field(ge=8)]


class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Optimizer(Settings):
    kind: Literal["AdamW", "SGD"] = "AdamW"
    lr: Annotated[float, Field(gt=0)]
    """For one process; N processes use N times as much."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.05
    momentum: Rate = 0.9
    """Of SGD; AdamW keeps torch's betas."""
    clip_grad: Annotated[float, Field(gt=0)] | None = None
    """Largest norm of the gradient."""
    accumulate: Count = 1
    """Batches that make one step. It scales learning rates as processes do, since it makes the batch larger."""
    layer_decay: Annotated[float, Field(gt=0, le=1)] | None = None
    """Factor of the learning rate from each block of the backbone to the one before it."""


class Schedule(Settings):
    kind: Literal["cosine", "multistep", "linear", "constant"]
    epochs: Count
    warmup_epochs: Annotated[int, Field(ge=0)] = 0
    warmup_lr: Annotated[float, Field(ge=0)] = 0.0
    """Where the warm-up starts, for one process."""
    min_lr: Annotated[float, Field(ge=0)] = 0.0
    """Where the schedule ends, for one process."""
    milestones: tuple[Count, ...] = ()
    """Of multistep: the epochs at which the rate drops, by equal factors down to min_lr."""

    @model_validator(mode="after")
    def _fits(self) -> Schedule:
        if self.warmup_epochs >= self.epochs:
            raise ValueError(f"warmup_epochs ({self.warmup_epochs}) must be below epochs ({self.epochs})")
        if (self.kind == "multistep") != bool(self.milestones):
            raise ValueError("milestones belong to kind multistep, and multistep needs some")
        steps = (self.warmup_epochs, *self.milestones, self.epochs)
        if self.milestones and list(steps) != sorted(set(steps)):
            raise ValueError(f"milestones {list(self.milestones)} must rise, between warmup_epochs and epochs")
        if self.kind == "multistep" and not self.min_lr:
            raise ValueError("multistep needs a min_lr above 0")
        return self


class Model(Settings):
    drop_path: Rate = 0.0
    """Stochastic depth of the last block; it rises linearly from 0."""
    checkpointing: bool = False
    """Recompute activations in the backward pass, to save memory."""


class DenseModel(Model):
    """Of detectors and segmentors."""

    framework: str
    head_width: Count | None = None
    """Channels of the neck and the heads; null keeps those of mmdet's and mmseg's own configs."""
    frozen_stages: int = Field(default=-1, ge=-1)
    """-1 freezes nothing, 0 the stem, n the stem and n stages."""
    norm_eval: bool = False
    """Keep the backbone's batch norms at their stored statistics."""


class DetectorModel(DenseModel):
    framework: Literal["mask_rcnn", "cascade_rcnn", "retinanet"] = "mask_rcnn"


class SegmentorModel(DenseModel):
    framework: Literal["upernet", "fpn"] = "upernet"


class Data(Settings):
    num_classes: Annotated[int, Field(ge=2)]
    input_size: tuple[Side, Side]
    """Height and width in pixels."""
    workers: Annotated[int, Field(ge=0)] = 4
    """Loading processes for each training process."""


class FolderData(Data):
    format: Literal["folders", "idx"] = "folders"
    """folders: one folder a class, as ImageNet has it; idx: the files of MNIST and Fashion-MNIST."""
    train: str = "train"
    val: str = "val"
    """Name of a split; of idx files what stands before `-images`: `train` and `t10k`."""
    train_limit: Count | None = None
    """Images used at most, of idx files: the first ones, which are in no order."""
    val_limit: Count | None = None
    crop_pct: Annotated[float, Field(gt=0, le=1)] = 0.875
    """Share of the shorter side that validation looks at."""

    @model_validator(mode="after")
    def _limits(self) -> FolderData:
        if self.format == "folders" and (self.train_limit or self.val_limit):
            raise ValueError("train_limit and val_limit are for format: idx; folders are used whole")
        return self


class CocoData(Data):
    train_images: str = "train2017"
    train_annotations: str = "annotations/instances_train2017.json"
    val_images: str = "val2017"
    val_annotations: str = "annotations/instances_val2017.json"


class AdeData(Data):
    train_images: str = "images/training"
    train_masks: str = "annotations/training"
    val_images: str = "images/validation"
    val_masks: str = "annotations/validation"
    val_size: tuple[Side, Side] = (512, 2048)
    """Bounds of the shorter and the longer side when validating."""


class FolderAugmentation(Settings):
    auto_augment: str | None = None
    """timm's name, e.g. rand-m15-n2-mstd0.5."""
    flip: Fraction = 0.5
    crop_scale: tuple[Fraction, Fraction] = (0.08, 1.0)
    """Share of the image's area that a random crop covers."""
    crop_ratio: tuple[float, float] = (0.75, 4 / 3)
    interpolation: Literal["random", "bicubic", "bilinear"] = "random"
    color_jitter: Fraction = 0.0
    """Has no effect beside auto_augment."""
    random_erasing: Fraction = 0.0
    mixup: Annotated[float, Field(ge=0)] = 0.0
    cutmix: Annotated[float, Field(ge=0)] = 0.0
    label_smoothing: Rate = 0.0


class CocoAugmentation(Settings):
    flip: Fraction = 0.5


class AdeAugmentation(Settings):
    flip: Fraction = 0.5
    photometric_distortion: bool = True
    scale: tuple[float, float] = (0.5, 2.0)
    """Range of random resizing before the crop."""


class Protocol(Settings):
    """What the three tasks have in common."""

    name: str = ""
    optimizer: Optimizer
    schedule: Schedule
    batch_size: Count
    """Images a process."""
    val_batch_size: Count = 1
    val_every: Count = 1
    """Epochs from one validation to the next."""
    keep_checkpoints: Annotated[int, Field(ge=2)] = 3
    """At least 2: a process that dies while writing one must find another."""
    log_every: Count = 50
    """Iterations from one line of the log to the next."""
    ema: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Decay of a moving average of the weights, which is then what gets validated."""
    amp: bool = False
    """Mixed precision: float16 on a GPU, bfloat16 on a CPU."""
    sync_bn: bool = False
    """Batch norms over all processes (GPUs only)."""
    seed: Annotated[int, Field(ge=0)] = 0
    deterministic: bool = False

    def learning_rates(self, processes: int) -> dict[str, float]:
        """lr, warmup_lr and min_lr for that many processes."""
        n = processes * self.optimizer.accumulate
        # Products such as 3 * 1e-7 carry rounding noise that would look odd in a printed config.
        rates = {"lr": self.optimizer.lr, "warmup_lr": self.schedule.warmup_lr, "min_lr": self.schedule.min_lr}
        return {key: float(f"{n * rate:.12g}") for key, rate in rates.items()}


class Classification(Protocol):
    task: Literal["classification"]
    data: FolderData
    model: Model = Model()
    augmentation: FolderAugmentation = FolderAugmentation()
    val_batch_size: Count = 64

    @model_validator(mode="after")
    def _pairs(self) -> Classification:
        if (self.augmentation.mixup or self.augmentation.cutmix) and self.batch_size % 2:
            raise ValueError(f"batch_size ({self.batch_size}) must be even for mixup and cutmix, which mix pairs")
        return self


class Detection(Protocol):
    task: Literal["detection"]
    data: CocoData
    model: DetectorModel = DetectorModel()
    augmentation: CocoAugmentation = CocoAugmentation()


class Segmentation(Protocol):
    task: Literal["segmentation"]
    data: AdeData
    model: SegmentorModel = SegmentorModel()
    augmentation: AdeAugmentation = AdeAugmentation()
