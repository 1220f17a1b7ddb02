"""The whole file: docstring, helpers, one class for each distinct graph, the network, and how to load weights."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from ... import __version__
from ...genotype import BlockGraph, Genotype, Stage, SubBlock, cost
from ...ops import Size, Value
from ...ops.composite import AttentionLayer, SqueezeExciteLayer
from ...ops.layers import (
    ConvLayer,
    FloorHalvingPool,
    GlobalPoolLayer,
    HalvingPool,
    Layer,
    LinearLayer,
    OpLayer,
    StridedMaxPool,
)
from ..errors import FormatError
from .graphs import GraphClass, write_graph
from .helpers import BLOCK, HELPERS, PLAIN_SUBBLOCK, SUBBLOCK
from .layout import Call, Expression, call, lines, listed
from .networks import classifier, detector_backbone
from .operations import ACTIVATION_MODULES, Where, written

FRAMEWORKS = ("mmdet", "mmseg")
"""Packages in whose registry the network can be written as a backbone."""


RESERVED = {"Block", "SubBlock", "BaseModule", "MODELS", "Tensor", "None", "True", "False", *HELPERS}
"""Names that a file has anyway."""


@dataclass
class _File:
    """What is collected while a network is written."""

    name: str
    """Of the network's class."""
    helpers: set[str] = field(default_factory=set)
    classes: dict[str, str] = field(default_factory=dict)
    """Class names by their text without the name."""
    texts: dict[str, str] = field(default_factory=dict)
    """Text of each class, by name, in order."""
    uses: dict[str, list[str]] = field(default_factory=dict)
    """Where each class stands."""


def source_text(
    genotype: Genotype,
    num_classes: int,
    size: Size,
    module: str = "network",
    weights: str | None = None,
    framework: str | None = None,
) -> str:
    """A Python file.

    Args:
        num_classes: default of the head; without meaning for a `framework`, where there is none.
        size: height and width for which MACs are counted in the docstring.
        module: name of the file without its suffix, for the docstring.
        weights: name of the file with the weights, for the docstring.
        framework: of FRAMEWORKS; None: a classifier.

    Raises:
        FormatError: an operation or a layer has no words.
    """
    name = class_name(genotype, framework)
    file = _File(name)
    stem = call("nn.Sequential", *_layers(genotype.stem.layers(), file))
    before, stages = genotype.stem.width, []
    for i, stage in enumerate(genotype.stages):
        stages.append(call("nn.Sequential", *_blocks(stage, i, before, file)))
        before = stage.width
    init = [*lines(stem, 8, "self.stem = "), *lines(listed(list(stages)), 8, "stages = ")]
    if framework is None:
        ending = classifier(
            name, init, lines(_head(genotype, before, num_classes, file), 8, "self.head = "), num_classes
        )
        counted = cost(genotype, size, num_classes)
    else:
        ending = detector_backbone(name, init, genotype, framework)
        counted = cost(genotype, size, 0)
    halves = any(stage.downsample.inside for stage in genotype.stages)
    parts = [text for key, text in HELPERS.items() if key in file.helpers]
    parts += [_titled(name_, text, file.uses[name_]) for name_, text in file.texts.items()]
    parts += [SUBBLOCK if halves else PLAIN_SUBBLOCK, BLOCK, ending]
    body = "\n\n".join(part.rstrip("\n") + "\n" for part in parts)
    facts = [
        ("genotype", genotype.key),
        ("parameters", f"{counted.params:,}" + ("" if framework else f" with {num_classes} classes")),
        ("MACs", f"{counted.macs:,} for an image of {size[0]} x {size[1]}"),
    ]
    use = _use_in_config(genotype, name, module, weights) if framework else _use(module, weights)
    docstring = _docstring(genotype, facts, use, framework)
    return f'"""{docstring}"""\n\n{_imports(body, framework)}\n\n\n{body}'


def class_name(genotype: Genotype, framework: str | None) -> str:
    """`Coatnet`, `CoatnetBackbone`; from the key where the genotype has no name that Python takes."""
    words = re.findall(r"[A-Za-z0-9]+", genotype.name or "")
    name = "".join(word[:1].upper() + word[1:] for word in words)
    if not name or not name[0].isalpha() or len(name) > 40 or name in RESERVED:
        name = f"Network{genotype.key[:8]}"
    return f"{name}Backbone" if framework else name


def _docstring(genotype: Genotype, facts: list[tuple[str, str]], use: list[str], framework: str | None) -> str:
    who = re.sub(r"[^\w .,:+()-]", "_", genotype.name or "A network")[:60].strip()
    what = (
        f"a backbone for {framework} in one file"
        if framework
        else "a vision backbone in one file that needs PyTorch alone"
    )
    table = [f"    {key:<12}{value}" for key, value in facts]
    written = f"Images may have any size. Written by uninas {__version__}."
    return "\n".join([f"{who}: {what}.", "", *table, "", *(f"    {line}" for line in use), "", written, ""])


def _use(module: str, weights: str | None) -> list[str]:
    """Lines of Python that use the file."""
    return [
        f"network = {module}.load({_quoted(weights or 'FILE')})  # .pt, .pth or .safetensors, names as in uninas",
        "logits = network(torch.randn(2, 3, 256, 192))",
    ]


def _use_in_config(genotype: Genotype, name: str, module: str, weights: str | None) -> list[str]:
    """Lines of a config of OpenMMLab's that use the file."""
    return [
        f"custom_imports = dict(imports=[{_quoted(module)}])  # in a folder where Python looks",
        "backbone = dict(",
        "    _delete_=True,",
        f"    type={_quoted(name)},",
        f'    init_cfg=dict(type="Pretrained", checkpoint={_quoted(weights or "FILE")}),',
        ")",
        f"# in_channels of what follows: {[stage.width for stage in genotype.stages]}",
        f"# strides of the feature maps: {list(genotype.strides)}",
    ]


def _quoted(text: str) -> str:
    """A name inside the docstring."""
    return '"' + re.sub(r'[\\"]', "_", text)[:60] + '"'


def _imports(body: str, framework: str | None) -> str:
    found = ["from __future__ import annotations", ""]
    found += ["from zipfile import is_zipfile", ""] if re.search(r"\bis_zipfile\b", body) else []
    found += ["import torch"] if re.search(r"\btorch\.", body) else []
    if framework:
        found += [f"from {framework}.registry import MODELS", "from mmengine.model import BaseModule"]
    found.append("from torch import Tensor, nn")
    found += ["from torch.nn import functional as F"] if re.search(r"\bF\.", body) else []
    return "\n".join(found)


def _titled(name: str, body: str, uses: list[str]) -> str:
    return f'class {name}(nn.Module):\n    """{_places(uses)}."""\n\n{body}\n'


def _places(uses: list[str]) -> str:
    """`Stage 1 (twice), stage 2`."""
    found = [f"{place} ({count} times)" if (count := uses.count(place)) > 1 else place for place in dict.fromkeys(uses)]
    return "In " + ", ".join(found)


def _blocks(stage: Stage, index: int, before: int, file: _File) -> list[Expression]:
    """The blocks of a stage."""
    found: list[Expression] = []
    for j, block in enumerate(stage.blocks):
        down = beside = behind = None
        inside = j == 0 and stage.downsample.inside
        if j == 0 and not inside:
            main = stage.downsample.main(before, stage.width)
            shortcut = stage.downsample.shortcut(before, stage.width)
            down = call("nn.Sequential", *_layers(main, file)) if main else None
            beside = call("nn.Sequential", *_layers(shortcut, file)) if shortcut else None
            after = stage.downsample.behind(stage.width)
            behind = call("nn.Sequential", *_layers(after, file)) if after else None
        subblocks = [
            _subblock(sub, stage, before if inside and k == 0 else None, f"stage {index + 1}", file)
            for k, sub in enumerate(block.subblocks)
        ]
        found.append(call("Block", *subblocks, down=down, beside=beside, behind=behind))
    return found


def _subblock(sub: SubBlock, stage: Stage, before: int | None, place: str, file: _File) -> Call:
    """A sub-block; `before` channels come in where it also halves the resolution."""
    width, behind, down = stage.width, sub.activation, stage.downsample
    frame = sub.frame(width if before is None else before, width)
    return call(
        "SubBlock",
        _graph(sub.graph, width, place, file),
        norm=_layers(frame[:1], file)[0] if sub.norm else None,
        down=None if before is None else listed(_layers(down.main(before, width), file)),
        shortcut=listed(_layers(down.shortcut(before, width), file)) if before is not None and sub.residual else None,
        residual=None if sub.residual else "False",
        activation=_layers(frame[-1:], file)[0] if behind else None,
    )


def _graph(graph: BlockGraph, width: int, place: str, file: _File) -> Call:
    """A call of the class of a graph, which is written where there is none of that text yet."""
    made = write_graph(graph, width)
    if made.text not in file.classes:
        name = _graph_name(made, file)
        file.classes[made.text] = name
        file.texts[name] = made.text
        file.helpers |= made.helpers
    name = file.classes[made.text]
    file.uses.setdefault(name, []).append(place)
    given = made.arguments.given()
    return call(name, *(str(number) if key == "width" else f"{key}={number}" for key, number in given.items()))


KINDS = {
    "Attention": ("matmul2",),
    "Depthwise": ("dwconv",),
    "Conv": ("conv",),
    "Gate": ("multiply",),
    "Pool": ("max_pool", "avg_pool", "global_avg_pool"),
}
"""What a class is called after, in order, at most two of them."""


def _graph_name(made: GraphClass, file: _File) -> str:
    found = [word for word, names in KINDS.items() if any(kind in names for kind in made.kinds)]
    if "Conv" in found and len(found) > 1:
        found.remove("Conv")  # nearly every graph has one
    elif found == ["Conv"] and "padding=" not in made.text:
        found = ["Mlp"]
    base = "".join(found[:2]) or "Elementwise"
    taken, number = {*file.texts, *RESERVED, file.name}, 1
    while (base if number == 1 else f"{base}{number}") in taken:
        number += 1
    return base if number == 1 else f"{base}{number}"


def _head(genotype: Genotype, before: int, num_classes: int, file: _File) -> Call:
    """All layers of the head, the classifier's size left to an argument; without a classifier for 0 classes."""
    return call("nn.Sequential", *_layers(genotype.head.layers(before, num_classes), file, classes="num_classes"))


def _layers(layers: list[Layer], file: _File, classes: str = "") -> list[Expression]:
    """Modules of a network's frame."""
    return [_layer(layer, file, classes) for layer in layers]


def _layer(layer: Any, file: _File, classes: str) -> Expression:
    if isinstance(layer, ConvLayer):
        channels = str(layer.in_channels), str(layer.out_channels)
        return call(
            "nn.Conv2d",
            *channels,
            str(layer.kernel),
            str(layer.stride) if layer.stride > 1 else None,
            padding=str(layer.padding) if layer.padding else None,
            groups=str(groups) if (groups := getattr(layer, "groups", 1)) > 1 else None,
            bias=None if layer.bias else "False",
        )
    if isinstance(layer, HalvingPool):
        file.helpers.add("halving_average")
        return "halving_average()"
    if isinstance(layer, FloorHalvingPool):
        return "nn.AvgPool2d(2)"
    if isinstance(layer, GlobalPoolLayer):
        file.helpers.add("GlobalAverage")
        return "GlobalAverage()"
    if isinstance(layer, StridedMaxPool):
        return call("nn.MaxPool2d", "3", stride="2", padding="1")
    if isinstance(layer, SqueezeExciteLayer):
        file.helpers.add("SqueezeExcite")
        return call("SqueezeExcite", str(layer.channels), str(layer.hidden), _activation(layer.activation))
    if isinstance(layer, AttentionLayer):
        file.helpers |= {"SelfAttention", "RelativePositionBias", "attention", "split_heads", "join_heads"}
        channels = str(layer.in_channels), str(layer.out_channels)
        return call("SelfAttention", *channels, heads=str(layer.heads), size=str(layer.size))
    if isinstance(layer, LinearLayer):
        file.helpers.add("Classifier")
        return call("Classifier", str(layer.in_features), classes)
    if isinstance(layer, OpLayer):
        if layer.op.role == "activation":
            return _activation(layer.op.name)
        what = written(layer.op, Where((Value(layer.channels),), layer.channels, absolute=True))
        file.helpers.update(what.helpers)
        if what.module is not None:
            return what.module
    raise FormatError(f"--to source has no words for the layer {layer}: use --to torch-export")


def _activation(name: str) -> Expression:
    """An activation of the frame, as a module."""
    if name not in ACTIVATION_MODULES:
        raise FormatError(
            f"--to source has no module for the activation {name}: add it to "
            "uninas.export.source.operations.ACTIVATION_MODULES, or use --to torch-export"
        )
    return ACTIVATION_MODULES[name]


__all__ = ["FRAMEWORKS", "class_name", "source_text"]
