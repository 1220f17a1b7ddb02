"""Weights in files: PyTorch's (.pt, .pth) and safetensors.

`safetensors.torch.save_file(net.state_dict(), file)` refuses our networks: convolution weights lie channels last, which
makes them faster and which that format cannot hold. A hook that made `state_dict()` contiguous would hand out copies,
and who writes into a state dict in place - averaged weights do - would write into nothing. So it is said explicitly:
`save_weights` copies what it must, `load_weights` copies into the tensors that are there, whose layout stays.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import WeightsError
from ..files import replacing

SUFFIXES = (".pt", ".pth", ".safetensors")
PICKLE = b"\x80"
"""What files of older versions of torch begin with; those of today are zip archives."""
CONTAINERS = ("state_dict", "model", "state_dict_ema")
"""Keys under which trainers keep a state dict among other things."""
PREFIXES = ("module.", "backbone.")
"""What DistributedDataParallel and our training put before a network's names."""


def save_weights(net: nn.Module | Mapping[str, Tensor], path: str | Path) -> None:
    """Writes a network's state dict, or any tensors by name, through a temporary name; the suffix is the format.

    Raises:
        WeightsError: a suffix other than .pt, .pth, .safetensors; safetensors is not installed; nothing can be written.
    """
    path = Path(path)
    _check_suffix(path)
    state = net.state_dict() if isinstance(net, nn.Module) else net
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    try:
        with replacing(path) as temporary:
            if path.suffix == ".safetensors":
                _safetensors(path).save_file(plain, str(temporary))
            else:
                torch.save(plain, temporary)
    except (OSError, RuntimeError) as problem:  # torch's writer raises RuntimeError where a folder is missing
        raise WeightsError(f"{path}: cannot be written: {_first_line(problem)}") from None


class Ignored:
    """What a checkpoint holds of types that PyTorch does not know; it does nothing, whatever the file asks of it."""

    def __init__(self, *_: Any) -> None:
        pass

    def __setstate__(self, _: Any) -> None:
        pass


@contextmanager
def ignoring_other_types(path: str | Path) -> Iterator[None]:
    """Within it, `torch.load` of a checkpoint gives `Ignored` for what it would refuse, such as a trainer's log.

    Trainers store more than weights: mmengine its curves, others their arguments. Nothing of it is imported or run.
    """
    foreign = torch.serialization.get_unsafe_globals_in_checkpoint(path) if zipfile.is_zipfile(path) else []
    with torch.serialization.safe_globals([(Ignored, name) for name in foreign]):
        yield


def read_file(path: str | Path) -> Any:
    """What a weights file holds, on the CPU; nothing in it is run, and what PyTorch does not know is `Ignored`.

    Raises:
        WeightsError: it is missing, broken, or not safe to load.
    """
    path = Path(path)
    if not path.is_file():
        raise WeightsError(f"{path}: there is no such checkpoint")
    try:
        if path.suffix == ".safetensors":
            return _safetensors(path).load_file(str(path))
        with ignoring_other_types(path):
            return torch.load(path, map_location="cpu", weights_only=True)
    except WeightsError:
        raise
    except Exception as problem:  # torch, zipfile and pickle each have their own way of saying that a file is broken
        raise WeightsError(f"{path}: {_what_is_wrong(path, problem)}") from problem


def _what_is_wrong(path: Path, problem: Exception) -> str:
    """In place of torch's advice to load the file unsafely."""
    foreign = re.search(r"GLOBAL (\S+) ", str(problem))
    if foreign:
        return f"holds a {foreign[1]}, which could run code when loaded: save it anew, as its state_dict() alone"
    if path.suffix != ".safetensors" and not isinstance(problem, OSError) and not _may_be_torchs(path):
        return "is no file of torch.save, or only a part of one"
    return f"is not a checkpoint that can be loaded safely: {_first_line(problem)}"


def _may_be_torchs(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(1) == PICKLE or zipfile.is_zipfile(file)


def tensors_of(content: Any, path: str | Path) -> dict[str, Tensor]:
    """The state dict in a file's content, be it bare or in a trainer's checkpoint.

    Raises:
        WeightsError: there is none.
    """
    if isinstance(content, Ignored):
        raise WeightsError(f"{path}: holds a whole object, not weights by name: save its state_dict()")
    if not isinstance(content, Mapping):
        raise WeightsError(f"{path}: holds a {type(content).__name__}, not weights by name")
    inner = (content[key] for key in CONTAINERS if isinstance(content.get(key), Mapping))
    weights = {key: value for key, value in next(inner, content).items() if isinstance(value, Tensor)}
    if not weights:
        raise WeightsError(f"{path}: holds no weights; its keys are {', '.join(map(str, list(content)[:8]))}")
    return weights


def without_prefixes(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors by a network's own names; a checkpoint of `uninas train` has stem and stages in `backbone.`."""
    for prefix in PREFIXES:
        state = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
    return dict(state)


def load_weights(net: nn.Module, path: str | Path) -> None:
    """Copies a file's tensors into a network, all of them; it may be a checkpoint of `uninas train`.

    Checkpoints that lack a head, or have one for other classes, are for `uninas.engine.weights.load_backbone`.

    Raises:
        WeightsError: the file cannot be read, or is not of this network.
    """
    state = without_prefixes(tensors_of(read_file(path), path))
    own = net.state_dict()
    wrong = [name for name in own if name in state and state[name].shape != own[name].shape]
    missing, extra = [name for name in own if name not in state], [name for name in state if name not in own]
    if wrong:
        shapes = f"{tuple(state[wrong[0]].shape)} there, {tuple(own[wrong[0]].shape)} here"
        raise WeightsError(f"{path}: {len(wrong)} tensors differ in shape, first {wrong[0]} ({shapes})")
    for what, names in (("are missing", missing), ("have no place in the network", extra)):
        if names:
            raise WeightsError(f"{path}: {len(names)} tensors {what}, first {names[0]}: weights of another network")
    net.load_state_dict(state)


def _check_suffix(path: Path) -> None:
    if path.suffix not in SUFFIXES:
        raise WeightsError(f"{path}: the suffix says the format; choose from: {', '.join(SUFFIXES)}")


def _safetensors(path: Path) -> Any:
    try:
        import safetensors.torch
    except ModuleNotFoundError:
        raise WeightsError(f"{path}: needs safetensors, which is not installed: pip install safetensors") from None
    return safetensors.torch


def _first_line(problem: Exception) -> str:
    return (str(problem).strip().splitlines() or [type(problem).__name__])[0]
