"""One file of theirs to one of ours, or back: `convert` reads, converts, checks and writes."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import yaml_files
from ..blocks.networks import read_genotype
from ..files import write_text
from ..genotype import Genotype, cost
from . import read
from .back import to_model
from .errors import ConvertError
from .networks import Conversion, to_genotype
from .tree import Model
from .write import dumps

FORMATS = ("uninas", "official")
"""Ours, and that of the authors' package."""


@dataclass(frozen=True)
class Converted:
    """What was read and written."""

    genotype: Genotype
    to: str
    files: tuple[Path, ...]
    img_size: int
    num_classes: int
    params: int
    """Of our network with that many classes: those that receive a gradient in theirs."""
    notes: tuple[str, ...] = ()


def convert(
    file: str | Path,
    to: str | None = None,
    *,
    out: str | Path | None = None,
    weights: str | Path | None = None,
    input_size: int | None = None,
    num_classes: int | None = None,
    force: bool = False,
) -> Converted:
    """Converts a file of the authors' package 1.3.0 into a genotype, or a genotype into such a file.

    Args:
        file: JSON of theirs; or a genotype file or the name of a known network.
        to: a key of FORMATS; None: the format that the file is not in.
        out: what to write; None: `file` with the other suffix, beside it (`_official` where the names would be one).
        weights: a state dict of the network, .pth, .pt or .safetensors, converted to a file beside `out`.
        input_size: to "official": the image side for which their network is built; None: the one that its tables of
            relative position bias are for, or 224.
        num_classes: to "official": of the head; None: those of `weights`, or 1000.
        force: replace files.

    Raises:
        ConvertError: the file is not valid, or something in it cannot be said in the other format; GenotypeError: the
            genotype is not valid; WeightsError: the weights are not of this network.
    """
    source = Path(file)
    to = to or ("uninas" if _is_theirs(source) else "official")
    if to not in FORMATS:
        raise ConvertError(f"there is no format {to!r}; choose from: {', '.join(FORMATS)}", "--to")
    target = Path(out) if out is not None else _beside(source, to)
    beside = target.with_suffix(Path(weights).suffix) if weights is not None else None
    _check_free([target, *([beside] if beside else [])], force)
    if beside is not None and weights is not None and beside.resolve() == Path(weights).resolve():
        raise ConvertError("would be written over with what comes of them; choose another --out", str(weights))
    if to == "uninas":
        return _to_ours(source, target, weights, beside, input_size, num_classes)
    return _to_theirs(str(file), target, weights, beside, input_size, num_classes)


def _to_ours(
    source: Path, target: Path, weights: Any, beside: Path | None, input_size: int | None, num_classes: int | None
) -> Converted:
    for option, value in (("--input-size", input_size), ("--classes", num_classes)):
        if value is not None:
            raise ConvertError("is for --to official: a file of theirs says it itself", option)
    model = read.load(source)
    try:
        conversion = to_genotype(model, source.stem)
    except ConvertError as error:
        raise ConvertError(str(error), str(source)) from None
    if weights is not None and beside is not None:
        from ..compiler import save_weights
        from .weights import to_ours

        state = to_ours(conversion, model.num_classes, weights)
        save_weights(state, beside)
    conversion.genotype.save(target)
    return _converted(conversion.genotype, "uninas", model, (target, beside))


def _to_theirs(
    source: str, target: Path, weights: Any, beside: Path | None, input_size: int | None, num_classes: int | None
) -> Converted:
    genotype = read_genotype(source)
    state = None
    if weights is not None:
        from .weights import classes_of, own_weights

        classes = classes_of(genotype, weights)
        if num_classes not in (None, classes):
            raise ConvertError(f"the weights are of {classes} classes, not {num_classes}", "--classes")
        num_classes = classes
        state = own_weights(genotype, classes, weights)
    try:
        model = to_model(genotype, input_size, 1000 if num_classes is None else num_classes)
        text = dumps(model)
        again = to_genotype(read.model_from_dict(json.loads(text)))
    except ConvertError as error:
        if error.path.startswith("--"):
            raise
        raise ConvertError(str(error), source) from None
    notes = []
    if again.genotype.key != genotype.key:
        if cost(again.genotype).params != cost(genotype).params:
            raise ConvertError(
                "operations share what came before them in a way that theirs would compute twice", source
            )
        notes.append("what was written reads back as another graph of the same function: heads that are alike in one")
    if state is not None and beside is not None:
        if notes:
            raise ConvertError(f"weights go back to networks that `uninas convert` has made; {notes[0]}", source)
        from ..compiler import save_weights
        from .weights import to_theirs

        save_weights(to_theirs(again, renamed(state, genotype, again)), beside)
    write_text(target, text, ConvertError)
    return _converted(genotype, "official", model, (target, beside), tuple(notes))


def _converted(
    genotype: Genotype, to: str, model: Model, files: tuple[Path | None, ...], notes: tuple[str, ...] = ()
) -> Converted:
    params = cost(genotype, model.img_size, model.num_classes).params
    written = tuple(file for file in files if file is not None)
    return Converted(genotype, to, written, model.img_size, model.num_classes, params, notes)


def renamed(state: Mapping[str, Any], genotype: Genotype, again: Conversion) -> dict[str, Any]:
    """The weights of a network under the names of an equal one, whose nodes may have other ids."""
    names = {}
    for ((i, j, k), ours), (_, theirs) in zip(genotype.subblocks, again.genotype.subblocks):
        place = f"stages.{i}.{j}.subblocks.{k}.graph."
        pairs = zip(ours.graph.canonical_order, theirs.graph.canonical_order)
        names |= {f"{place}{a}": f"{place}{b}" for a, b in pairs}
    found = {}
    for name, tensor in state.items():
        node, _, tensor_name = name.rpartition(".")
        found[f"{names.get(node, node)}.{tensor_name}"] = tensor
    return found


def _is_theirs(source: Path) -> bool:
    """Whether a file is JSON with their fields. (What cannot be read is for the reader of ours to say.)"""
    if not yaml_files.is_json(source) or not source.is_file():
        return False
    with contextlib.suppress(OSError, ValueError, RecursionError):
        data = json.loads(source.read_text(encoding="utf-8"))
        return isinstance(data, dict) and "schema_version" not in data
    return True


def _beside(source: Path, to: str) -> Path:
    suffix = ".yaml" if to == "uninas" else ".json"
    return source.with_name(f"{source.stem}{'_official' if source.suffix == suffix else ''}{suffix}")


def _check_free(paths: list[Path], force: bool) -> None:
    for path in paths:
        if path.is_dir() or (path.exists() and not force):
            raise ConvertError("there is one already; --force replaces a file, --out FILE writes another", str(path))
        if not path.parent.is_dir():
            raise ConvertError("cannot be written: there is no such folder", str(path))
