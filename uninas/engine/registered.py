"""What a config's `custom_imports` names: importing this module makes everything of ours known to mmengine.

`custom_imports = dict(imports=["uninas.engine.registered"])` is all that a config for mmengine, mmdet or mmseg needs.
"""

from ..mm_compat import prepare

prepare()

from . import backbone, classifier, hooks, idx, images, metrics, optim  # noqa: E402

MODULES = (backbone, classifier, hooks, idx, images, metrics, optim)
