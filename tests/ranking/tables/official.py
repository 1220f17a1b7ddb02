"""The network of an architecture string written directly in torch, dead ends and all, to compare with."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

OPS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")


def arch_string(ops) -> str:
    """The string of a cell whose six edges, in the order of the string, have these operations."""
    a, b, c, d, e, f = ops
    return f"|{a}~0|+|{b}~0|{c}~1|+|{d}~0|{e}~1|{f}~2|"


def all_archs() -> list[str]:
    return [arch_string(ops) for ops in itertools.product(OPS, repeat=6)]


def relu_conv_bn(before: int, after: int, kernel: int, stride: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(before, after, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(nn.ReLU(), conv, nn.BatchNorm2d(after))


def edge(op: str, width: int) -> nn.Module | None:
    if op == "none":
        return None
    if op == "skip_connect":
        return nn.Identity()
    if op == "avg_pool_3x3":
        return nn.AvgPool2d(3, 1, 1, count_include_pad=False)
    return relu_conv_bn(width, width, int(op[-1]))


class Cell(nn.Module):
    def __init__(self, arch: str, width: int) -> None:
        super().__init__()
        self.edges = nn.ModuleDict()
        for target, node in enumerate(arch.split("+"), start=1):
            for entry in node.strip("|").split("|"):
                op, source = entry.split("~")
                module = edge(op, width)
                if module is not None:
                    self.edges[f"{source}{target}"] = module

    def forward(self, x: Tensor) -> Tensor:
        nodes = [x]
        for target in range(1, 4):
            found = [self.edges[f"{s}{target}"](nodes[s]) for s in range(target) if f"{s}{target}" in self.edges]
            nodes.append(sum(found, torch.zeros_like(x)))
        return nodes[-1]


class Reduction(nn.Module):
    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.a = relu_conv_bn(before, after, 3, 2)
        self.b = relu_conv_bn(after, after, 3)
        self.shortcut = nn.Sequential(nn.AvgPool2d(2, 2), nn.Conv2d(before, after, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        return self.shortcut(x) + self.b(self.a(x))


class Official(nn.Module):
    def __init__(self, arch: str, num_classes: int = 10) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16))
        cells: list[nn.Module] = [Cell(arch, 16) for _ in range(5)]
        for width in (32, 64):
            cells += [Reduction(width // 2, width), *(Cell(arch, width) for _ in range(5))]
        self.cells = nn.Sequential(*cells)
        self.last = nn.Sequential(nn.BatchNorm2d(64), nn.ReLU())
        self.classifier = nn.Linear(64, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.last(self.cells(self.stem(x))).mean((2, 3)))


def copy_weights(official: Official, ours: nn.Module) -> None:
    """Gives `ours` the parameters and statistics of `official`."""

    def copy(source: nn.Module, target: nn.Module) -> None:
        target.load_state_dict(source.state_dict())

    copy(official.stem, ours.stem)
    copy(official.classifier, ours.head[-1])
    copy(official.last[0], ours.head[0])
    cells = iter(official.cells)
    for i, stage in enumerate(ours.stages):
        for j, block in enumerate(stage):
            if i and not j:
                reduction = next(cells)
                for position, layer in enumerate((*reduction.a, *reduction.b)):
                    copy(layer, block.down[position])
                copy(reduction.shortcut[1], block.down_shortcut[1])
            graph = dict(block.subblocks[0].graph.named_children())
            for name, module in next(cells).edges.items():
                if isinstance(module, nn.Sequential) and f"conv_{name}" in graph:
                    copy(module[1], graph[f"conv_{name}"])
                    copy(module[2], graph[f"batch_norm_{name}"])
