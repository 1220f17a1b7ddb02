"""mmdet's and mmseg's own base configs, read from the installed packages, and small tools to change them."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mmengine.config import Config

from ..errors import EngineError

DISTRIBUTIONS = {"mmdet": "mmdet", "mmseg": "mmsegmentation"}


def base(package: str, *names: str) -> dict[str, Any]:
    """The content of `<package>/.mim/configs/_base_/<name>` for every name, in one dict.

    Read as files: mmengine's `mmseg::...` would install packages by itself, and fails with the forks.

    Raises:
        EngineError: the package or the config is not there.
    """
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise EngineError(
            f"this needs {package}, which is not installed: pip install {DISTRIBUTIONS[package]}; "
            "`uninas doctor` checks the rest"
        )
    folder = Path(next(iter(spec.submodule_search_locations))) / ".mim" / "configs" / "_base_"
    content: dict[str, Any] = {}
    for name in names:
        file = folder / name
        if not file.is_file():
            raise EngineError(
                f"{file}: the installed {package} has no such config; `uninas doctor` says which one fits"
            )
        content |= Config.fromfile(file).to_dict()
    return content


def each_dict(node: Any, change: Callable[[dict[str, Any]], None]) -> None:
    """Call `change` on every dict in `node`, outermost first."""
    if isinstance(node, dict):
        change(node)
        for value in list(node.values()):
            each_dict(value, change)
    elif isinstance(node, (list, tuple)):
        for value in node:
            each_dict(value, change)


def set_everywhere(node: Any, key: str, value: Any) -> None:
    """Give every `key` that occurs anywhere in `node` the value."""
    each_dict(node, lambda found: found.update({key: value}) if key in found else None)


def set_step(pipeline: list[dict[str, Any]], kind: str, **values: Any) -> None:
    """Change the step of that type in a data pipeline.

    Raises:
        EngineError: there is no such step.
    """
    for step in pipeline:
        if step["type"] == kind:
            step.update(values)
            return
    raise EngineError(f"the base config's pipeline has no step {kind!r}; it has {[step['type'] for step in pipeline]}")
