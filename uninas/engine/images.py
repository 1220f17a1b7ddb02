"""The data set of a classification run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.registry import DATASETS
from PIL import Image
from timm.data.readers.reader_image_folder import ReaderImageFolder
from timm.data.readers.reader_image_in_tar import ReaderImageInTar
from timm.data.transforms_factory import create_transform
from torch.utils.data import Dataset

from .errors import DataError


@DATASETS.register_module()
class ImageFolders(Dataset):
    """Images with one folder a class, read by timm: `root/split/<class>/*`, or the same in `root/split.tar`.

    An item is {"inputs": normalised image 3 x H x W, "labels": class}.

    Args:
        root: the data set's folder.
        split: e.g. train.
        transform: arguments of `timm.data.create_transform`.

    Raises:
        DataError: there are no images; or, on access, an image that cannot be read, named with its path.
    """

    def __init__(self, root: str, split: str, transform: Mapping[str, Any]) -> None:
        folder, tar = Path(root) / split, Path(root) / f"{split}.tar"
        if not folder.is_dir() and not tar.is_file():
            raise DataError(
                f"{folder}: there is neither such a folder, with one folder a class, nor {tar.name} beside it"
            )
        try:
            self.reader = ReaderImageFolder(str(folder)) if folder.is_dir() else ReaderImageInTar(str(tar))
        except RuntimeError as problem:
            raise DataError(f"{folder}: {problem}") from problem
        self.transform: Any = create_transform(**transform)
        self.metainfo = {"classes": list(getattr(self.reader, "class_to_idx", ()))}

    def __len__(self) -> int:
        return len(self.reader)

    def __getitem__(self, index: int) -> dict[str, Any]:
        stream: Any
        stream, label = self.reader[index]
        try:
            with stream, Image.open(stream) as image:
                pixels = image.convert("RGB")
        except OSError as problem:
            name = self.reader.filename(index, absolute=True)
            raise DataError(f"{name}: cannot be read as an image: {problem}") from None
        return {"inputs": self.transform(pixels), "labels": label}
