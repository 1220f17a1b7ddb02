"""Narrow networks and a space around them, for tests that look at many."""

from __future__ import annotations

from typing import Any

import uninas
from uninas import resources, yaml_files
from uninas.search.space.graph_space import GraphSpace

WIDTHS, DEPTHS = [16, 16, 32, 32], [1, 1, 1, 1]
STARTS = ("resnet", "efficientnet", "vit", "coatnet")


def small_file(**changes: Any) -> dict[str, Any]:
    """The space `uninas` with narrow, shallow starts, as plain data; `changes` replace keys."""
    data = yaml_files.read(resources.find("spaces", "uninas"))
    starts = {name: {"network": name, "widths": WIDTHS, "depths": DEPTHS} for name in data["starts"]}
    limits = {**data["limits"], "min_width": 16, "width_multiple": 16, "max_width": 64}
    return {**data, "name": "small", "starts": starts, "limits": limits, **changes}


def small_space(**changes: Any) -> GraphSpace:
    return GraphSpace.from_dict(small_file(**changes))


def only(*moves: str, **changes: Any) -> GraphSpace:
    """The small space with some of its moves, equally likely."""
    return small_space(moves=dict.fromkeys(moves, 1.0), **changes)


def small_network(name: str) -> uninas.Genotype:
    return uninas.blocks.network(name, widths=WIDTHS, depths=DEPTHS)
