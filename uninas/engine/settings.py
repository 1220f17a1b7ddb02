"""The settings of a training protocol, typed; `uninas.engine.protocol` reads them from files."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Rate = Annotated[float, Field(ge=0, lt=1)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Side = Annotated[int, Field(ge=8)]


class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Optimizer(Settings):
    kind: Literal["AdamW", "Lamb", "SGD"] = "AdamW"
    """Of torch, or timm's Lamb."""
    lr: Annotated[float, Field(gt=0)]
    """For one process; N processes use N times as much."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.05
    betas: tuple[Rate, Rate] = (0.9, 0.999)
    eps: Annotated[float, Field(gt=0)] | None = None
    """Null keeps the optimiser's own (1e-8, Lamb's 1e-6)."""
    momentum: Rate = 0.9
    """Of SGD, which has no betas."""
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
    """Of multistep: the epochs at which the rate drops."""
    gamma: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Of multistep: the factor of a drop, none of which goes below min_lr. Null: equal drops that end at min_lr."""

    @model_validator(mode="after")
    def _fits(self) -> Schedule:
        if self.warmup_epochs >= self.epochs:
            raise ValueError(f"warmup_epochs ({self.warmup_epochs}) must be below epochs ({self.epochs})")
        if (self.kind == "multistep") != bool(self.milestones):
            raise ValueError("milestones belong to kind multistep, and multistep needs some")
        steps = (self.warmup_epochs, *self.milestones, self.epochs)
        if self.milestones and list(steps) != sorted(set(steps)):
            raise ValueError(f"milestones {list(self.milestones)} must rise, between warmup_epochs and epochs")
        if self.kind == "multistep" and not self.min_lr and self.gamma is None:
            raise ValueError("multistep needs a min_lr above 0 or a gamma")
        if self.kind != "multistep" and self.gamma is not None:
            raise ValueError("gamma belongs to kind multistep")
        return self


class Model(Settings):
    init: Literal["search", "train"] = "search"
    """Initial weights: those that scores are defined on, or those of timm's models; see `uninas.build`."""
    drop_path: Rate = 0.0
    """Stochastic depth of the last block; it rises linearly from 0."""
    checkpointing: bool = False
    """Recompute activations in the backward pass, to save memory."""
    channels_last: bool = False
    """Keep the backbone's weights and feature maps as NHWC on a GPU: faster with mixed precision."""
    compile: bool = False
    """Compile the backbone with `torch.compile`."""


class DenseModel(Model):
    """Of detectors and segmentors."""

    framework: str
    head_width: Count | None = None
    """Channels of the neck and the heads; null keeps those of mmdet's and mmseg's own configs."""
    frozen_stages: int = Field(default=-1, ge=-1)
    """-1 freezes nothing, 0 the stem, n the stem and n stages."""
    out_norm: bool = True
    """A layer norm on each feature map that the neck or the head reads, as mmdet's Swin and ConvNeXt have."""


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
    persistent_workers: bool = False
    """Keep loading processes from epoch to epoch. Saves their start; a resumed run then draws other augmentations."""
    pin_memory: bool = True
    """Load into page-locked memory, from which a GPU copies faster."""


IDX = "idx"
"""The source that `uninas.engine.idx` reads, all others are timm's."""


class FolderData(Data):
    source: str = ""
    """timm's name of a data set that is no folder, e.g. hfds/NAME (Hugging Face) or torch/cifar10; idx for the files of
    MNIST and Fashion-MNIST, also as torchvision lays them out."""
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
        if self.source != IDX and (self.train_limit or self.val_limit):
            raise ValueError("train_limit and val_limit are for source: idx; all else is used whole")
        return self


def _all_named(data: Any) -> Any:
    if data.classes and len(data.classes) != data.num_classes:
        raise ValueError(f"num_classes is {data.num_classes}, and classes has {len(data.classes)} names")
    return data


class CocoData(Data):
    classes: tuple[str, ...] | None = None
    """Names of the categories to detect. Null: COCO's 80, or all those that the annotations list."""
    train_images: str = "train2017"
    train_annotations: str = "annotations/instances_train2017.json"
    val_images: str = "val2017"
    val_annotations: str = "annotations/instances_val2017.json"

    _named = model_validator(mode="after")(_all_named)


class AdeData(Data):
    classes: tuple[str, ...] | None = None
    """Names in the order of the masks' numbers. Null: ADE20K's 150, those of objectInfo150.txt, or class_1, ..."""
    image_suffix: str = ".jpg"
    mask_suffix: str = ".png"
    train_images: str = "images/training"
    train_masks: str = "annotations/training"
    val_images: str = "images/validation"
    val_masks: str = "annotations/validation"
    val_size: tuple[Side, Side] = (512, 2048)
    """Bounds of the shorter and the longer side when validating."""

    _named = model_validator(mode="after")(_all_named)


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
    repeats: Count = 1
    """Repeated augmentation: an image comes this often in an epoch of as many images, augmented anew."""
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
    ema_warmup: Annotated[int, Field(ge=0)] = 10
    """The decay is at most t / (t + this) after t steps, so that the average forgets the initial weights."""
    amp: Literal["bf16", "fp16"] | None = None
    """Mixed precision; fp16 with dynamic loss scaling. A CPU computes either as bf16."""
    norm: Literal["train", "eval", "sync"] = "train"
    """Batch norms take the statistics of a process's own batch, those of a checkpoint, or those of all processes."""
    cudnn_benchmark: bool = False
    """Let cuDNN time its algorithms: faster where images have one size, and not deterministic."""
    loggers: tuple[Literal["tensorboard", "wandb"], ...] = ()
    """Written besides the log and its JSON lines."""
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
    loss: Literal["cross_entropy", "bce"] = "cross_entropy"
    """bce: a binary cross-entropy for every class."""
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
    norm: Literal["train", "eval", "sync"] = "eval"
    """As mmdet's ResNet-50 base: a few images a process are too few for statistics."""
    augmentation: CocoAugmentation = CocoAugmentation()


class Segmentation(Protocol):
    task: Literal["segmentation"]
    data: AdeData
    model: SegmentorModel = SegmentorModel()
    norm: Literal["train", "eval", "sync"] = "sync"
    """As mmseg's bases."""
    augmentation: AdeAugmentation = AdeAugmentation()
