"""What makes mmengine 0.10, mmcv 2.1, mmdet 3.3 and mmseg 1.2 run beside a current torch, and nothing else.

`prepare()` is called by `uninas.engine.registered`, which every config of ours names in `custom_imports`, and by
`uninas mm`, which runs mmdet's and mmseg's own tools. docs/mm_compat.md lists each measure: what, when, why. Each is a
no-op where it is not needed.
"""

from .errors import CompatError
from .grammar import import_yapf
from .measures import prepare

__all__ = ["CompatError", "import_yapf", "prepare"]
