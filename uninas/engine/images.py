"""Images of a classification run: read by timm, augmented in loading processes, normalised on the device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import get_dist_info, sync_random_seed
from mmengine.model import BaseDataPreprocessor
from mmengine.registry import DATA_SAMPLERS, DATASETS, MODELS
from PIL import Image
from timm.data.dataset import ImageDataset, IterableImageDataset
from timm.data.dataset_factory import create_dataset
from timm.data.distributed_sampler import RepeatAugSampler
from timm.data.random_erasing import RandomErasing
from timm.data.transforms_factory import create_transform
from timm.utils.misc import natural_key
from torch.utils.data import Dataset

from .errors import DataError


def is_class(folder: Path) -> bool:
    """Whether an entry of a split is the folder of a class; what a file manager or a notebook hides there is not."""
    return folder.is_dir() and not folder.name.startswith(".")


@DATASETS.register_module()
class TimmImages(Dataset):
    """A data set of `timm.data.create_dataset`. An item is {"inputs": uint8 image 3 x H x W, "labels": class}.

    Args:
        root: the data set's folder. Without `source` it holds `split/CLASS/*`, or the same in `split.tar`.
        split: e.g. train.
        transform: arguments of `timm.data.create_transform`.
        source: timm's name of a data set that is no folder, e.g. hfds/NAME (Hugging Face) or torch/cifar10.
        classes_of: the split whose class folders number the classes; another split may then lack some.

    Raises:
        DataError: there are no images; or, on access, an image that cannot be read, named with its path.
    """

    def __init__(
        self, root: str, split: str, transform: Mapping[str, Any], source: str = "", classes_of: str | None = None
    ) -> None:
        self.transform: Any = create_transform(**transform, normalize=False)
        place, numbers = root, None
        if not source:
            folder, tar = Path(root, split), Path(root, f"{split}.tar")
            if not folder.is_dir() and not tar.is_file():
                raise DataError(
                    f"{folder}: there is neither such a folder, with one folder a class, nor {tar.name} beside it"
                )
            place = str(folder if folder.is_dir() else tar)
            if folder.is_dir() and classes_of and Path(root, classes_of).is_dir():
                names = (entry.name for entry in Path(root, classes_of).iterdir() if is_class(entry))
                numbers = {name: number for number, name in enumerate(sorted(names, key=natural_key))}
        try:
            self.data: Any = create_dataset(source, place, split=split, class_map=numbers, search_split=False)  # type: ignore[arg-type]
        except (RuntimeError, ImportError, AssertionError, OSError) as problem:
            raise DataError(f"{source or place}: {problem}") from problem
        if isinstance(self.data, IterableImageDataset):
            raise DataError(
                f"data.source: {source} is a stream, which only timm's own train.py reads: docs/training.md"
            )
        known = getattr(getattr(self.data, "reader", self.data), "class_to_idx", None) or {}
        self.metainfo = {"classes": sorted(known, key=known.__getitem__)}

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> dict[str, Any]:
        if not isinstance(self.data, ImageDataset):  # torchvision's
            image, label = self.data[index]
            return {"inputs": self.transform(image.convert("RGB")), "labels": label}
        reader: Any = self.data.reader
        stream, label = reader[index][:2]
        try:
            with stream, Image.open(stream) as image:
                pixels = image.convert("RGB")
        except OSError as problem:  # timm would take the next image in its place
            name = self.data.filename(index, absolute=True)
            raise DataError(f"{name}: cannot be read as an image: {problem}") from None
        return {"inputs": self.transform(pixels), "labels": label}


@DATA_SAMPLERS.register_module()
class RepeatedAugmentation(RepeatAugSampler):
    """timm's sampler that shows every image `num_repeats` times, augmented anew, to different processes."""

    def __init__(self, dataset: Dataset, num_repeats: int, seed: int | None = None) -> None:
        rank, processes = get_dist_info()
        super().__init__(dataset, processes, rank, num_repeats=num_repeats)
        self.seed = sync_random_seed() if seed is None else seed

    def set_epoch(self, epoch: int) -> None:
        super().set_epoch(self.seed + epoch)


@MODELS.register_module()
class ImagePreprocessor(BaseDataPreprocessor):
    """Takes a batch of uint8 images to the device and normalises them there; in training some areas are erased.

    Args:
        mean, std: of the channels, for pixels from 0 to 1.
        erasing: probability of random erasing, by noise.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float], erasing: float = 0.0) -> None:
        super().__init__()
        for name, values in (("mean", mean), ("std", std)):
            self.register_buffer(name, 255 * torch.tensor(values).view(3, 1, 1), persistent=False)
        self.erasing = RandomErasing(erasing, mode="pixel") if erasing else None

    def forward(self, data: Any, training: bool = False) -> Any:
        batch = dict(super().forward(data, training))
        images = batch["inputs"].float().sub(self.mean).div(self.std)
        if training and self.erasing is not None:
            self.erasing.device = images.device
            images = self.erasing(images)
        return batch | {"inputs": images}
