"""Protocol + genotype + data -> a complete mmengine Config."""

from .assemble import build_config

__all__ = ["build_config"]
