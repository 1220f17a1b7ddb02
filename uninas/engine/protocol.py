"""Training protocols: YAML files, typed and validated.

A protocol says everything about a training run that does not depend on the machine or on the network. Learning
rates are written for one process; `learning_rates(n)` multiplies them, as published, by their number.

    base: imagenet               # optional: another protocol, of which the keys below change some
    schedule: {epochs: 300}
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from yaml import YAMLError

from .. import resources, yaml_files
from ..errors import ResourceError, kind_of, nearest
from .errors import ProtocolError
from .settings import Classification, Detection, Protocol, Segmentation

TASKS: dict[str, type[Protocol]] = {
    "classification": Classification,
    "detection": Detection,
    "segmentation": Segmentation,
}


def load(name: str | Path, changes: Mapping[str, Any] | None = None) -> Classification | Detection | Segmentation:
    """A protocol by name or path, with `changes` (nested like the file) applied before validation.

    Raises:
        ProtocolError: no such protocol, or it is not valid; the message names the file, says whether it was changed,
            and names the place in it.
    """
    path = resources.find("protocols", name)
    where = f"{path}, as changed" if changes else str(path)
    data = {"name": path.stem, **_merged(*_layers(path, ()), changes or {})}
    task = data.get("task")
    if task not in TASKS:
        raise ProtocolError(f"{where}: task: there is no task {task!r}; {nearest(str(task), TASKS)}")
    try:
        return resources.parse(data, TASKS[task], ProtocolError)  # type: ignore[return-value]
    except ProtocolError as problem:
        raise ProtocolError(f"{where}: {problem}") from None


def parse_changes(pairs: list[str]) -> dict[str, Any]:
    """`["schedule.epochs=3"]` -> `{"schedule": {"epochs": 3}}`, values read as YAML.

    Raises:
        ProtocolError: a pair without `=`, or a value that is not YAML.
    """
    for pair in pairs:
        if not pair.partition("=")[0] or "=" not in pair:
            raise ProtocolError(f"{pair!r} is not a change; write key=value, such as schedule.epochs=3")
    from omegaconf import OmegaConf  # of the extra `mm`; the command line reads settings of training without it
    from omegaconf.errors import OmegaConfBaseException

    try:
        return _merged(OmegaConf.from_dotlist(pairs))
    except (YAMLError, OmegaConfBaseException) as problem:
        raise ProtocolError(f"{' '.join(pairs)}: {problem}") from None


def _layers(path: Path, above: tuple[Path, ...]) -> list[dict[str, Any]]:
    """The file's content, after that of its `base`."""
    if path in above:
        raise ProtocolError(f"{path}: base: {' -> '.join(p.stem for p in (*above, path))} goes in a circle")
    try:
        data = yaml_files.read(path)
    except ResourceError as problem:
        raise ProtocolError(f"{path}: {problem}") from None
    if not isinstance(data, dict):
        raise ProtocolError(f"{path}: a protocol is a mapping, got {kind_of(data)}")
    base = data.pop("base", None)
    if base is None:
        return [data]
    beside = path.parent / str(base)
    found = beside if beside.is_file() else resources.find("protocols", str(base))
    return [*_layers(found, (*above, path)), data]


def _merged(*layers: Any) -> dict[str, Any]:
    """Mappings key by key, anything else from the last that has it."""
    from omegaconf import OmegaConf

    return OmegaConf.to_container(OmegaConf.merge(*layers))  # type: ignore[return-value]
