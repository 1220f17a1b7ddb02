"""What all tests share: one thread, and hypothesis examples that are the same on every run.

`HYPOTHESIS_PROFILE=explore pytest` looks for new ones.
"""

import os

import torch
from hypothesis import HealthCheck, settings

from uninas.mm_compat import import_yapf

torch.set_num_threads(1)
import_yapf()  # several processes of pytest may be the first of a machine to import it

settings.register_profile("fixed", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("explore", deadline=None, max_examples=2000, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))
