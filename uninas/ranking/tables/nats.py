"""The official files of NATS-Bench's topology space, read without running what is in them.

NATS-Bench (Dong et al., "NATS-Bench: Benchmarking NAS Algorithms for Architecture Topology and Size", 2021) distributes
bz2-compressed pickles, `NATS-tss-v1_0-3ffb9-simple/` with one file an architecture and a `meta` file, or all in one
`NATS-tss-v1_0-3ffb9.pickle.pbz2`. A pickle can name any function to call; the reader here knows three names, all that
these files use, and gives each a harmless meaning. Anything else is refused.

    one architecture: {"12" or "200": {"arch_str", "dataset_seed": {dataset: [seed, ...]}, "all_results":
                          {(dataset, seed): {"epochs", "eval_acc1es": {"ori-test@199": percent, ...}, ...}}}}
    all in one:       {"meta_archs": [arch, ...], "arch2infos": {index: as above}, ...}
"""

from __future__ import annotations

import bz2
import pickle
import struct
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import RankingError
from .base import Column, Table

SUFFIX = ".pickle.pbz2"
TEST_SETS = {"cifar10": "ori-test", "cifar100": "x-test", "ImageNet16-120": "x-test"}
"""The test set of each data set that has one, as NATS-Bench's own interface reports it."""


def read_nats(path: str | Path, epochs: int = 200) -> Table:
    """Test accuracies of all trained seeds, in columns `cifar10`, `cifar100` and `ImageNet16-120`.

    Args:
        path: the folder of files, the file of all architectures, or the file of one.
        epochs: of the training whose last epoch is asked for: 200 or 12.

    Raises:
        RankingError: the file cannot be read, holds anything but plain data, or lacks an accuracy.
    """
    archs: list[str] = []
    rows: dict[str, list[list[float]]] = {dataset: [] for dataset in TEST_SETS}
    for where, entry in _entries(Path(path)):
        try:
            results = entry[str(epochs)]
            archs.append(results["arch_str"])
            for dataset, test_set in TEST_SETS.items():
                rows[dataset].append(_accuracies(results, dataset, test_set))
        except (KeyError, TypeError) as error:
            message = f"{where} lacks {error}: not a file of NATS-Bench's topology space with {epochs} epochs"
            raise RankingError(message) from error
    if not archs:
        raise RankingError(f"{path} holds no architectures: expected files such as 000000{SUFFIX}")
    return Table(tuple(archs), tuple(Column(dataset, dataset, _padded(found)) for dataset, found in rows.items()))


def _entries(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(where, what is known of one architecture), by index."""
    if path.is_dir():
        for file in sorted(path.glob(f"[0-9]*{SUFFIX}")):
            yield str(file), load(file)
        return
    data = load(path)
    if "arch2infos" not in data:
        yield str(path), data
    elif not data["arch2infos"]:
        raise RankingError(f"{path} is the index only: give the folder it lies in")
    else:
        for index, entry in sorted(data["arch2infos"].items()):
            yield f"{path}, architecture {index}", entry


def _accuracies(results: Mapping[str, Any], dataset: str, test_set: str) -> list[float]:
    """One for each seed that was trained."""
    trained = [results["all_results"][dataset, seed] for seed in results["dataset_seed"][dataset]]
    if not trained:
        raise KeyError(f"a training on {dataset}")
    return [float(run["eval_acc1es"][f"{test_set}@{run['epochs'] - 1}"]) for run in trained]


def _padded(rows: list[list[float]]) -> np.ndarray:
    """N x T, NaN where a network was trained less often than others."""
    found = np.full((len(rows), max(map(len, rows))), np.nan)
    for row, values in zip(found, rows):
        row[: len(values)] = values
    return found


def load(path: str | Path) -> Mapping[str, Any]:
    """The plain data of a bz2-compressed pickle.

    Raises:
        RankingError: the file cannot be read, or holds anything but plain data.
    """
    try:
        with bz2.open(path, "rb") as file:
            data = _PlainUnpickler(file).load()
    except (OSError, EOFError, pickle.UnpicklingError, ValueError, TypeError, AttributeError, IndexError) as error:
        raise RankingError(f"{path} cannot be read as plain data: {error}") from error
    if not isinstance(data, Mapping):
        raise RankingError(f"{path} holds a {type(data).__name__}, not the data of an architecture")
    return data


class _Dtype:
    """Stands for numpy.dtype: numpy's own code never sees what the file says."""

    def __init__(self, code: str, *_: Any) -> None:
        self.code = code
        self.order = "<"

    def __setstate__(self, state: tuple) -> None:
        self.order = ">" if state[1] == ">" else "<"


_FORMATS = {"f4": "f", "f8": "d", "i4": "i", "i8": "q"}


def _scalar(dtype: _Dtype, raw: bytes) -> float | int:
    """Stands for numpy's scalar constructor: the number in `raw`."""
    if dtype.code not in _FORMATS:
        raise pickle.UnpicklingError(f"a number of type {dtype.code!r}")
    try:
        return struct.unpack(dtype.order + _FORMATS[dtype.code], raw)[0]
    except struct.error as error:
        raise pickle.UnpicklingError(f"a number of type {dtype.code!r} in {len(raw)} bytes") from error


class _PlainUnpickler(pickle.Unpickler):
    """Refuses every name but three."""

    NAMES = {  # noqa: RUF012
        ("collections", "OrderedDict"): OrderedDict,
        ("numpy", "dtype"): _Dtype,
        ("numpy.core.multiarray", "scalar"): _scalar,
        ("numpy._core.multiarray", "scalar"): _scalar,
    }

    def find_class(self, module_name: str, global_name: str) -> Any:
        try:
            return self.NAMES[module_name, global_name]
        except KeyError:
            raise pickle.UnpicklingError(f"it asks for {module_name}.{global_name}, which is refused") from None
