"""Exporters talk: what nobody can act on is left out while they run."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

TALKERS = (
    *("torch.onnx", "torch.export", "torch._dynamo", "torch._inductor", "torch.fx", "torch.utils.cpp_extension"),
    *("onnxscript", "onnx_ir"),
)


@contextmanager
def quiet() -> Iterator[None]:
    """Warnings and the loggers of TALKERS say nothing below an error."""
    loggers = [logging.getLogger(name) for name in TALKERS]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels):
                logger.setLevel(level)
