"""ONNX, by torch's exporter over torch.export; checked by onnx and compared in onnxruntime."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from .culprit import find_culprit
from .errors import ExportError, FormatError
from .job import Job
from .program import export_module, first_line
from .quiet import quiet
from .verify import Check, Run, compare

LARGEST = 2**31 - 1
"""Bytes that one ONNX file can hold."""
UNOPTIMISED = "torch's ONNX optimiser failed on this network ({}): the file holds the graph as it was exported"


def write(program: ExportedProgram, job: Job, twin: nn.Module | None, path: Path) -> tuple[list[Check], list[str]]:
    """Writes an ONNX file, checks it and compares; also gives what a user should know of it.

    Raises:
        FormatError: an operation has no counterpart; DifferenceError: the file computes something else; ExportError:
            a package is missing.
    """
    check_packages()
    import onnx

    names = _names(job)
    translated = _translate(program, job, names)
    if twin is not None:
        changed = _clone(translated)
        with quiet():
            changed.apply_weights(dict(twin.state_dict()))
        _optimise(changed)
        compare(_runner(changed.model_proto.SerializeToString()), twin, job.shapes, "ONNX with other weights")
    notes = _optimise(translated)
    model = translated.model_proto
    onnx.helper.set_model_props(model, job.facts())
    if model.ByteSize() > LARGEST:
        raise FormatError(
            f"an ONNX file holds 2 GiB, this network takes {model.ByteSize() / 2**30:.1f}: use torch-export"
        )
    path.write_bytes(model.SerializeToString())
    onnx.checker.check_model(str(path), full_check=True)
    return compare(_runner(str(path)), job.network, job.shapes, "ONNX"), notes


def session(source: str | bytes, threads: int | None = None) -> Any:
    """An onnxruntime session on the CPU that keeps its advice to itself."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads or torch.get_num_threads()
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def _runner(source: str | bytes) -> Run:
    opened = session(source)

    def run(images: Tensor) -> Tensor:
        return torch.from_numpy(opened.run(None, {"images": images.numpy()})[0])

    return run


def _names(job: Job) -> dict[str, Sequence[str]]:
    return {"input_names": ["images"], "output_names": ["logits" if job.num_classes else "features"]}


def _translate(program: ExportedProgram, job: Job, names: dict[str, Sequence[str]]) -> Any:
    """The network in ONNX's operators, not optimised, so that weights have the names of the network's."""
    try:
        with quiet(), torch.no_grad():
            made = torch.onnx.export(program, (), dynamo=True, verbose=False, optimize=False, **names)  # type: ignore[arg-type]
    except Exception as problem:  # the exporter raises of several types, on whatever it has no translation for
        where = find_culprit(job, _export_alone)
        raise FormatError(
            f"ONNX cannot hold {where} ({first_line(problem)}); put another operation in its place, or use --to "
            "torch-export"
        ) from problem
    dims = made.model.graph.inputs[0].shape  # type: ignore[union-attr]
    made.rename_axes({dims[at]: name for at, name in enumerate(("batch", "", "height", "width")) if at in job.free()})  # type: ignore[union-attr]
    return made


def _export_alone(module: nn.Module, args: tuple[Any, ...], shapes: Any) -> None:
    torch.onnx.export(export_module(module, args, shapes), (), dynamo=True, verbose=False, optimize=False)


def _clone(translated: Any) -> Any:
    import onnx_ir

    copied = onnx_ir.serde.deserialize_model(onnx_ir.serde.serialize_model(translated.model))
    return torch.onnx.ONNXProgram(copied, translated.exported_program)


def _optimise(translated: Any) -> list[str]:
    """Optimises in place; where that fails, nothing changes and it is said."""
    kept = _clone(translated)
    try:
        with quiet():
            translated.optimize()
    except Exception as problem:  # the optimiser raises of any type, and the graph is as good without it
        translated.model = kept.model
        return [UNOPTIMISED.format(first_line(problem))]
    return []


def check_packages() -> None:
    """Raises ExportError where a package is missing."""
    for package in ("onnx", "onnxscript", "onnxruntime"):
        if find_spec(package) is None:
            raise ExportError(f'--to onnx needs {package}: pip install "uninas-toolkit[export]"')
