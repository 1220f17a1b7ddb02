"""What is timed is called, once, and nothing else changes. Times themselves are the machine's."""

from __future__ import annotations

import pytest
import torch

import uninas
from uninas.genotype import Genotype
from uninas.profiling import clocks
from uninas.profiling.clocks import BETWEEN, calls, time_parts
from uninas.profiling.parts import parts

from .nets import found, small

BRANCHES = Genotype.from_dict(
    {
        "schema_version": 1,
        "graphs": {
            "branches": {
                "nodes": [
                    {"id": "split", "op": "chunk"},
                    {"id": "a", "op": "dwconv", "inputs": ["split:0"]},
                    {"id": "b", "op": "dwconv", "inputs": ["split:1"]},
                    {"op": "concat", "inputs": ["a", "b"]},
                ]
            },
            "shared": {
                "nodes": [
                    {"id": "a", "op": "conv", "inputs": ["input"]},
                    {"id": "b", "op": "conv", "inputs": ["input"]},
                    {"op": "multiply", "inputs": ["a", "b"]},
                ]
            },
        },
        "stages": [{"width": 8, "blocks": [{"subblocks": [{"graph": "branches"}, {"graph": "shared"}]}]}],
    }
)
"""Operations that the compiler runs as one."""


def prepared(genotype: Genotype):
    network = uninas.build(genotype, 5).eval()
    return network, torch.randn(1, 3, 32, 32), list(parts(genotype, (32, 32), 5))


@pytest.mark.parametrize("genotype", [small(), small("convnext"), BRANCHES, found(1)], ids=lambda g: g.key[:6])
def test_all_that_is_timed_is_called_once_a_pass(genotype):
    network, images, pieces = prepared(genotype)
    timed = list(calls(network, pieces))
    assert len({id(call.module) for call in timed}) == len(timed)
    with torch.no_grad():
        expected = network(images)
        with clocks._clocked(timed, clocks._clock_of("cpu")) as marks:
            assert torch.equal(network(images), expected)
    assert len(marks) == len(timed) and all(end >= start for _, start, end in marks)


def test_operations_that_run_as_one_are_of_their_kind():
    network, _, pieces = prepared(BRANCHES)
    graphs = [name for name, _ in network.named_modules() if name.endswith(".graph")]
    inside = {id(m) for name in graphs for m in network.get_submodule(name).modules()}
    kinds = [call.label[1] for call in calls(network, pieces) if id(call.module) in inside]
    assert kinds.count("dwconv") == 1 and kinds.count("conv") == 1, kinds
    members = [network.get_submodule(f"{graphs[0]}.{name}") for name in ("a", "b")]
    assert not any(call.module in members for call in calls(network, pieces)), "else they would run one by one"


def test_fused_attention_is_attention():
    network, images, pieces = prepared(small("vit"))
    with torch.inference_mode():
        seconds = time_parts(network, lambda: network(images), pieces, "cpu", 2)
    assert {label for label in seconds if label[1] == "attention"} == {
        (f"stage {i}", "attention") for i in (1, 2, 3, 4)
    }
    assert {stage for stage, kind in seconds if kind == BETWEEN} == {
        "stem",
        *(f"stage {i}" for i in (1, 2, 3, 4)),
        "head",
    }
    assert all(value > 0 for value in seconds.values())


def test_between_is_what_a_stage_takes_beside_its_operations():
    clock = clocks._Clock(lambda: 0, lambda start, end: end - start, lambda: None)
    marks = [
        (("stage 1", "conv"), 1.0, 3.0),
        (("stage 1", "norm"), 3.5, 4.0),
        (("stage 1", "conv"), 4.0, 5.0),
        (("stage 1", ""), 0.0, 6.0),
        (("stage 1", ""), 6.0, 7.0),
    ]
    assert clocks._summed(marks, clock) == {
        ("stage 1", "conv"): 3.0,
        ("stage 1", "norm"): 0.5,
        ("stage 1", BETWEEN): 3.5,
    }


def test_hooks_are_gone_also_after_an_error():
    network, _, pieces = prepared(small())
    with pytest.raises(ZeroDivisionError):
        time_parts(network, lambda: 1 / 0, pieces, "cpu", 1)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in network.modules())


def test_medians_of_passes_after_one_to_warm_up(monkeypatch):
    network, _, pieces = prepared(small())
    times, passes = iter([1.0, 5.0, 2.0]), []
    monkeypatch.setattr(clocks, "_summed", lambda marks, clock: {("stem", "conv"): next(times)})
    assert time_parts(network, lambda: passes.append(1), pieces, "cpu", 3) == {("stem", "conv"): 2.0}
    assert len(passes) == 4
