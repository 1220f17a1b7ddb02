"""Many small networks, measurements of them, and a study to put them into."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from uninas.genotype import Block, BlockGraph, Genotype, GraphBuilder, Stage, SubBlock
from uninas.search.measurement import Measurement, State
from uninas.search.study import NewCandidate, NewEvaluation, Study

SETTINGS = {"proxy": "naswot", "seed": 0, "iterations": 5, "space": {"name": "tiny", "limits": {"expansion": 8}}}
STATE = {"first": 1, "statistics": {"duplicates": 3, "over_limits": 2}}
OPS = ("gelu", "relu", "silu", "sigmoid")


def graph(number: int, prefix: str = "") -> BlockGraph:
    """A graph that is different for every number; with a prefix the same, but its nodes have other names."""
    builder = GraphBuilder()
    x = builder.add("conv", builder.input, id=f"{prefix}first")
    while number:
        number, digit = divmod(number, len(OPS))
        x = builder.add(OPS[digit], x, id=f"{prefix}node{len(builder.ops)}")
    return builder.build(x)


@lru_cache(maxsize=1000)
def network(number: int, prefix: str = "") -> Genotype:
    """A network of its own for every number; all share a graph."""
    subs = (SubBlock(graph(1, prefix)), SubBlock(graph(number + 1, prefix)))
    return Genotype((Stage(8, (Block(subs),)),), name=f"network {number}")


def candidate(id: int, parent: int | None = None, **changes) -> NewCandidate:
    row = {"genotype": network(id), "partner": None, "move": None if parent is None else "insert", "ask": id}
    return NewCandidate(**{"id": id, "parent": parent, "params": 100 + id, "macs": 1000 + id, **row, **changes})


def evaluation(id: int, candidate: int, **changes) -> NewEvaluation:
    return NewEvaluation(
        **{"id": id, "ask": id, "candidate": candidate, "phase": "search", "first_repeat": 0, "repeats": 1, **changes}
    )


def value(metric: str, number: float, seed: int = 2**63 - 1) -> Measurement:
    return Measurement(metric, number, State.MEASURED, None, seed, 0.5)


def failure(metric: str, state: State = State.FAILED, reason: str = "not finite: the scores") -> Measurement:
    return Measurement(metric, None, state, reason, 7, 0.5)


def chain(folder: Path, count: int = 5, settings: dict = SETTINGS) -> Study:
    """A study of `count` candidates, each the child of the one before, with the values 0, 1, ... of naswot."""
    study = Study.create(folder, settings)
    for id in range(count):
        study.admit([candidate(id, id - 1 if id else None)], [evaluation(id, id)], STATE)
        study.record(id, "search", 0, [value("naswot", float(id))])
        study.tell([id], STATE)
    return study
