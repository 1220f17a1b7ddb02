"""Runs mmdet's and mmseg's own tools, which import mmcv's operators before they read any config, after `prepare`."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from .distributed import launched_by
from .errors import CompatError
from .measures import prepare

TOOLS = ("train", "test")


def run_tool(tool: str, config: str | Path, arguments: Sequence[str]) -> None:
    """Run `tools/TOOL.py` of the package that the config's `default_scope` names, as if it were typed.

    Raises:
        CompatError: the config cannot be read or is for another package, or the package is not installed.
    """
    prepare()
    from mmengine.config import Config

    try:
        package = Config.fromfile(config, import_custom_modules=False).get("default_scope")
    except Exception as problem:  # a config is Python, which can raise anything, or YAML or JSON with a parser's errors
        raise CompatError(f"{config}: cannot be read as a config: {problem}") from problem
    if package not in ("mmdet", "mmseg"):
        raise CompatError(f"{config}: default_scope is {package!r}; `uninas mm` runs the tools of mmdet and mmseg")
    script = tool_of(package, tool)
    noticed = [] if "--launcher" in arguments else ["--launcher", launched_by()]
    sys.argv = [str(script), str(config), *arguments, *noticed]
    runpy.run_path(str(script), run_name="__main__")


def tool_of(package: str, tool: str) -> Path:
    """The script that travels inside the installed package.

    Raises:
        CompatError: the package or the script is not there.
    """
    spec = find_spec(package)
    folders = list(spec.submodule_search_locations or ()) if spec else []
    script = Path(folders[0], ".mim", "tools", f"{tool}.py") if folders else None
    if script is None or not script.is_file():
        raise CompatError(f"{package} or its {tool}.py is not installed; `uninas doctor` says what to do")
    return script
