"""A stand-in for mmcv's compiled operators, for an mmcv that has none (`mmcv-lite`).

`mmcv.ops` asks `mmcv._ext` for its kernels when it is imported, and mmdet imports `mmcv.ops`. The stand-in lets that
import succeed: it answers with the functions of `uninas.mm_compat.kernels`, and any other kernel raises when it is
called, not before.
"""

from __future__ import annotations

import importlib.util
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, NoReturn

from .errors import CompatError

NAME = "mmcv._ext"


def compiled() -> bool:
    """Whether the installed mmcv has its own compiled operators."""
    loaded = sys.modules.get(NAME)
    if loaded is not None:
        return not isinstance(loaded, StandIn)
    try:
        return importlib.util.find_spec(NAME) is not None
    except ModuleNotFoundError:
        return False


def install() -> bool:
    """Put the stand-in where mmcv looks for its operators; nothing happens when real ones are there.

    Must run before `mmcv.ops` is first imported. Returns whether the stand-in is in use.
    """
    if NAME in sys.modules:
        return not compiled()
    if importlib.util.find_spec("mmcv") is None or compiled():
        return False
    sys.modules[NAME] = StandIn(NAME)
    return True


class StandIn(ModuleType):
    """Answers every operator name, since `mmcv.ops` checks on import that all of its kernels exist."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        # A spec without a loader: mmengine's `mmcv_full_available()` then says no, instead of raising for want of one.
        self.__spec__ = ModuleSpec(name, loader=None)

    def __getattr__(self, name: str) -> Any:
        from . import kernels

        if name.startswith("__"):
            raise AttributeError(name)
        kernel = getattr(kernels, name, None)
        if getattr(kernel, "__module__", None) == kernels.__name__ and not name.startswith("_"):
            return kernel

        def unavailable(*_args: object, **_kwargs: object) -> NoReturn:
            raise CompatError(
                f"the operator {name!r} needs an mmcv with compiled operators, and the installed one has none. "
                "Compile it as `uninas doctor --compile-help` describes, or use a model without this operator"
            )

        return unavailable
