"""NAS-Bench-201: its networks by their architecture strings. The space itself is data: spaces/nasbench201.yaml.

An architecture string names the operation of every edge, node by node, each with the node it comes from:

    |nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|skip_connect~2|
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

from ..errors import SpaceError
from ..genotype import BlockGraph, Genotype
from ..genotype.frame import check_whole
from ..search.space.base import Space
from ..search.space.cells import CellSpace, Edge
from .errors import BenchmarkError


@lru_cache(maxsize=1)
def space() -> CellSpace:
    """The space of spaces/nasbench201.yaml."""
    found = Space.load("nasbench201")
    if not isinstance(found, CellSpace):
        raise BenchmarkError("the space nasbench201 is not one of cells; is there another file of that name here?")
    return found


def nasbench201(arch: str, num_classes: int = 10) -> Genotype:
    """The network of an architecture string: C = 16, N = 5, for images of 32 x 32 (and any other size).

    Only what can influence the output is there. An edge that lies on no path from the cell's input to its output is
    left out: what leads into a dead end, and what starts at a node that nothing reaches. Architectures without such
    edges (`is_complete`) have the official network's parameters. For the others the official network has more: it keeps
    the weights of dead ends, and it runs operations on nodes that are zero, where the shift of a batch norm - zero at
    initialisation - can become a learnt constant.

    Sums are flat and a skip is no operation, so architectures that are the same network have the same `key`.

    Args:
        arch: as in NAS-Bench-201 and NATS-Bench's topology space.
        num_classes: checked only: a genotype does not hold it. Give it to `uninas.build(genotype, num_classes)`.

    Raises:
        BenchmarkError: not an architecture string of the space, or no path leads to the output.
    """
    check_whole(num_classes, "num_classes")
    with _as_benchmark_error():
        return space().decode(space().parse(arch))


def cell_graph(arch: str) -> BlockGraph:
    """The cell of an architecture string as a block graph.

    Raises:
        BenchmarkError: see `nasbench201`.
    """
    with _as_benchmark_error():
        return space().cell(space().parse(arch))


def parse(arch: str) -> list[Edge]:
    """All edges of an architecture string, `none` included, by target and then by source.

    Raises:
        BenchmarkError: the string is not of the space; the message says where.
    """
    with _as_benchmark_error():
        return space().edge_list(space().parse(arch))


def is_complete(arch: str) -> bool:
    """Whether every edge but `none` lies on a path from input to output.

    True for 9,445 of the 15,625 architectures, which most published rankings use. One of these is the cell without any
    edge, for which there is no network.

    Raises:
        BenchmarkError: the string is not of the space.
    """
    with _as_benchmark_error():
        return space().is_complete(space().parse(arch))


@contextmanager
def _as_benchmark_error() -> Iterator[None]:
    try:
        yield
    except SpaceError as error:
        raise BenchmarkError(str(error)) from None
