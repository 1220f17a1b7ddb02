"""Parts are the network: their costs sum to its costs, and each is the module that it says."""

from __future__ import annotations

import pytest
from ops.test_layers import LAYERS

import uninas
from uninas.blocks.networks import KNOWN
from uninas.genotype import Genotype
from uninas.genotype.downsample import DOWNSAMPLING
from uninas.ops import REGISTRY, Grid, Value, make
from uninas.profiling.parts import KINDS, layer_kind, op_kind, parts, stages_of

from .nets import found, small

FULL, PAIR = Value(8), Value(2, Grid.PAIR)


@pytest.mark.parametrize("name", KNOWN)
@pytest.mark.parametrize("size", [(224, 224), (65, 97)])
def test_costs_of_known_networks_sum_exactly(name, size):
    genotype = uninas.blocks.network(name)
    whole = uninas.cost(genotype, size, 10)
    pieces = list(parts(genotype, size, 10))
    assert (sum(p.params for p in pieces), sum(p.macs for p in pieces)) == (whole.params, whole.macs)


@pytest.mark.parametrize("number", range(6))
def test_costs_of_found_networks_sum_exactly(number):
    genotype = found(number)
    whole = uninas.cost(genotype, (64, 48), 0)
    pieces = list(parts(genotype, (64, 48), 0))
    assert (sum(p.params for p in pieces), sum(p.macs for p in pieces)) == (whole.params, whole.macs)
    assert {p.kind for p in pieces} <= set(KINDS)
    assert list(dict.fromkeys(p.stage for p in pieces)) == list(stages_of(genotype))


def with_kind(kind: str) -> Genotype:
    """A network whose third stage starts in this way."""
    data = small().to_dict()
    data["stages"][2]["downsample"] = {"kind": kind}
    if kind == "none":
        data["stages"][2]["width"] = data["stages"][1]["width"]
    return Genotype.from_dict(data)


GENOTYPES = {
    **{name: small(name) for name in ("resnet", "efficientnet", "vit", "coatnet", "convnext")},
    **{kind: with_kind(kind) for kind in DOWNSAMPLING},
    **{f"found {number}": found(number) for number in range(3)},
}


@pytest.mark.parametrize("name", GENOTYPES)
def test_each_part_is_its_module(name):
    genotype = GENOTYPES[name]
    network = uninas.build(genotype, 10, passes=())  # which leave out what they make superfluous
    pieces = list(parts(genotype, (64, 64), 10))
    assert len({p.path for p in pieces}) == len(pieces)
    for piece in pieces:
        module = network.get_submodule(piece.path)
        assert piece.params == sum(p.numel() for p in module.parameters()), piece
    assert sum(p.params for p in pieces) == sum(p.numel() for p in network.parameters())
    whole = uninas.cost(genotype, 64, 10)
    assert sum(p.macs for p in pieces) == whole.macs


def test_every_layer_and_operation_has_a_kind():
    kinds = {name: layer_kind(layer) for name, layer in LAYERS.items()}
    assert set(kinds.values()) <= set(KINDS) - {"other", "between"}
    assert kinds["depthwise conv"] == "dwconv" and kinds["conv3 stride 2"] == "conv"
    assert kinds["squeeze-excite"] == "squeeze-excite" and kinds["layer norm"] == "norm"
    for op in map(make, REGISTRY):
        values = (PAIR,) if op.role in ("matmul", "bias") else (FULL,)
        assert op_kind(op, values) in KINDS, op


def test_what_works_on_affinities_is_attention():
    assert op_kind(make("softmax"), (PAIR, PAIR)) == "attention" and op_kind(make("softmax"), (FULL,)) == "activation"
    assert op_kind(make("matmul1"), (FULL, FULL, PAIR)) == "attention"
    assert op_kind(make("matmul2"), (PAIR, FULL, FULL)) == "attention"
    assert op_kind(make("dwconv"), (FULL,)) == "dwconv" and op_kind(make("chunk"), (FULL,)) == "other"
