"""What a network in the authors' format computes, node by node: the paper's definitions, their names of weights.

Weights are made when they are first asked for, random and in the shape that is needed: running a network once gives its
whole state dict.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from uninas.convert.tree import Model, Node, Sequence_

CHANNELS = 7


class Weights(dict[str, Tensor]):
    """A state dict that grows."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self.generator = torch.Generator().manual_seed(seed)

    def get_or_make(self, name: str, *shape: int, near: float = 0.0) -> Tensor:
        if name not in self:
            noise = torch.randn(shape, generator=self.generator)
            scale = 1 / math.sqrt(noise[0].numel()) if len(shape) > 1 else 0.2
            self[name] = (near + scale * noise).requires_grad_()
        assert self[name].shape == shape, name
        return self[name]

    def buffer(self, name: str, value: Tensor) -> Tensor:
        return self.setdefault(name, value)

    def used(self) -> int:
        """Numbers that have received a gradient."""
        return sum(tensor.numel() for tensor in self.values() if tensor.grad is not None)

    def plain(self) -> dict[str, Tensor]:
        return {name: tensor.detach().clone() for name, tensor in self.items()}


def conv(
    w: Weights, name: str, x: Tensor, out: int, kernel: int = 1, groups: int = 1, bias: bool = True, stride: int = 1
):
    weight = w.get_or_make(f"{name}.weight", out, x.shape[1] // groups, kernel, kernel)
    given = w.get_or_make(f"{name}.bias", out) if bias else None
    return F.conv2d(x, weight, given, stride, kernel // 2, groups=groups)


def layer_norm(w: Weights, name: str, x: Tensor) -> Tensor:
    c = x.shape[1]
    weight, bias = w.get_or_make(f"{name}.weight", c, near=1.0), w.get_or_make(f"{name}.bias", c)
    mean, var = x.mean(1, keepdim=True), x.var(1, keepdim=True, unbiased=False)
    return (x - mean) / (var + 1e-6).sqrt() * weight[:, None, None] + bias[:, None, None]


def batch_norm(w: Weights, name: str, x: Tensor) -> Tensor:
    c = x.shape[1]
    weight, bias = w.get_or_make(f"{name}.weight", c, near=1.0), w.get_or_make(f"{name}.bias", c)
    mean = w.buffer(f"{name}.running_mean", 0.2 * torch.randn(c, generator=w.generator))
    var = w.buffer(f"{name}.running_var", 0.5 + torch.rand(c, generator=w.generator))
    w.buffer(f"{name}.num_batches_tracked", torch.tensor(3))
    return F.batch_norm(x, mean, var, weight, bias, eps=1e-5)


def affinities(x: Tensor, y: Tensor) -> Tensor:
    return torch.einsum("bcp,bcq->bpq", x.flatten(2), y.flatten(2))[:, None] / math.sqrt(x.shape[1])


def mix(a: Tensor, y: Tensor) -> Tensor:
    return torch.einsum("bpq,bcq->bcp", a[:, 0], y.flatten(2)).reshape(y.shape)


def bias_table(w: Weights, name: str, side: int) -> Tensor:
    flat = w.get_or_make(f"{name}.relative_position_bias_table", (2 * side - 1) ** 2)
    y, x = (axis.flatten() for axis in torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij"))
    rows, columns = y[:, None] - y + side - 1, x[:, None] - x + side - 1
    return flat[rows * (2 * side - 1) + columns]


def sequence(nodes: Sequence_, x, prefix: str, w: Weights):
    for i, node in enumerate(nodes):
        x = apply(node, x, f"{prefix}.sequential.{i}", w)
    return x


def apply(node: Node, x, name: str, w: Weights):
    kind = node.kind
    if kind == "ForkMerge":
        return fork_merge(node, x, name, w)
    if kind == "ForkMergeAttention":
        return attention(node, x, name, w)
    if kind == "SequentialModule":
        return sequence(node.sequences("modules")[0], x, name, w)
    if kind == "Chunk":
        return x.chunk(node.number, 1)
    if kind == "MergeModule" and node.pair[0] == "matmul":
        a = sequence(node.sequences("process")[0], affinities(x[0], x[1]), f"{name}.process", w)
        return mix(a, x[2])
    c = x.shape[1]
    if kind in ("ExpandAndReduce", "ReduceAndExpand"):
        inside = c * node.number if kind == "ExpandAndReduce" else c // node.number
        inner = sequence(
            node.sequences("sequential")[0], conv(w, f"{name}.resize1", x, inside), f"{name}.sequential", w
        )
        return conv(w, f"{name}.resize2", inner, c)
    if kind == "AvgAndUpsample":
        inner = sequence(node.sequences("sequential")[0], x.mean((2, 3), keepdim=True), f"{name}.sequential", w)
        return inner.expand_as(x)
    if kind == "Mask":
        i, j = torch.arange(x.shape[2])[:, None], torch.arange(x.shape[3])
        return x * w.buffer(f"{name}.mask", ((i - j).abs() <= 5).float())
    if kind == "RelPosBias":
        return x + bias_table(w, name, node.number)
    return {
        "BatchNorm": lambda: batch_norm(w, f"{name}.bn", x),
        "Conv1": lambda: conv(w, f"{name}.conv", x, c),
        "Conv3": lambda: conv(w, f"{name}.conv", x, c, 3),
        "ConvDepth3": lambda: conv(w, f"{name}.conv", x, c, 3, c, bias=False),
        "ConvDepth5": lambda: conv(w, f"{name}.conv", x, c, 5, c, bias=False),
        "ConvExp3": lambda: conv(w, f"{name}.conv", x, 3 * c),
        "Dropout": lambda: x,
        "GELU": lambda: F.gelu(x),
        "Identity": lambda: x,
        "LayerNorm": lambda: layer_norm(w, f"{name}.ln", x),
        "MaxPool": lambda: F.max_pool2d(x, 3, 1, 1),
        "Sigmoid": lambda: x.sigmoid(),
        "Softmax": lambda: x.softmax(-1),
        "Zero": lambda: torch.zeros_like(x),
    }[kind]()


def fork_merge(node: Node, x: Tensor, name: str, w: Weights) -> Tensor:
    fork, merge = node.pair
    if fork == "convexp3":
        x = conv(w, f"{name}.func_fork.fork.sequential.0.conv", x, 3 * x.shape[1])
    parts = x.chunk(node.number, 1) if fork in ("chunk", "convexp3") else [x] * node.number
    branches = node.sequences("branches")
    outs = [sequence(b, part, f"{name}.branches.{i}", w) for i, (b, part) in enumerate(zip(branches, parts))]
    if merge == "add":
        return sum(outs[1:], outs[0])
    if merge == "multiply":
        return outs[0] * outs[1].sigmoid()
    if merge == "matmul":
        return mix(affinities(outs[0], outs[1]), outs[2])
    return torch.cat(outs, 1)


def attention(node: Node, x: Tensor, name: str, w: Weights) -> Tensor:
    branches = node.sequences("branches")
    parts = conv(w, f"{name}.qkv.conv", x, 3 * x.shape[1]).chunk(len(branches), 1)
    parts = [sequence(b, part, f"{name}.branches.{i}", w) for i, (b, part) in enumerate(zip(branches, parts))]
    outs = []
    for i, connection in enumerate(node.sequences("connections")):
        a = sequence(connection, affinities(parts[3 * i], parts[3 * i + 1]), f"{name}.connections.{i}", w)
        out = mix(a, parts[3 * i + 2])
        outs.append(sequence(node.sequences("post_branches")[i], out, f"{name}.post_branches.{i}", w))
    return torch.cat(outs, 1)


def down(w: Weights, name: str, x: Tensor, width: int) -> Tensor:
    x = F.avg_pool2d(x, 2)
    return conv(w, f"{name}.expand", x, width) if x.shape[1] != width else x


def run(model: Model, w: Weights, x: Tensor) -> Tensor:
    """Logits of images."""
    x = conv(w, "stem.conv1", x, model.stem_width[0], 3, bias=False, stride=2)
    x = conv(w, "stem.conv2", F.gelu(batch_norm(w, "stem.norm1", x)), model.stem_width[1], 3, bias=False)
    for i, stage in enumerate(model.stages):
        for j, block in enumerate(stage.blocks):
            name = f"stages.{i}.blocks.{j}"
            if j == 0:
                first = down(w, f"{name}.norm1.down", layer_norm(w, f"{name}.norm1.norm", x), stage.width)
                x = down(w, f"{name}.shortcut", x, stage.width)
            else:
                first = layer_norm(w, f"{name}.norm1", x)
            x = x + sequence(block.first, first, f"{name}.subblock1", w)
            x = x + sequence(block.second, layer_norm(w, f"{name}.norm2", x), f"{name}.subblock2", w)
    x = layer_norm(w, "norm", x).mean((2, 3))
    weight = w.get_or_make("head.fc.weight", model.num_classes, x.shape[1])
    return F.linear(x, weight, w.get_or_make("head.fc.bias", model.num_classes))
