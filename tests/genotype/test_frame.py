"""Stem, downsampling and head: every kind, its cost against the real network, at even, odd and small sizes."""

import itertools

import pytest
import torch
from graphs import one_graph
from torch.utils.flop_counter import FlopCounterMode

import uninas
from uninas import Genotype, GenotypeError
from uninas.genotype import (
    Block,
    BlockGraph,
    Downsample,
    GraphBuilder,
    Head,
    Stage,
    Stem,
    StemConv,
    SubBlock,
    cost_parts,
)
from uninas.genotype.downsample import DOWNSAMPLING
from uninas.ops.layers import ACTIVATIONS, NORMS

SIZES = [(32, 32), (33, 47), (17, 9), (5, 8)]


def conv3() -> BlockGraph:
    b = GraphBuilder()
    return b.build(b.add("conv", b.input, kernel=3))


def stage(width: int, kind: str, blocks: int = 1, **frame: object) -> Stage:
    block = Block((SubBlock(conv3(), **frame), SubBlock(conv3())))
    return Stage(width, (block,) * blocks, Downsample(kind))


def check_cost(genotype: Genotype, sizes=SIZES, num_classes: int = 7) -> None:
    """Declared parameters, MACs and sizes are those of the plain network."""
    net = uninas.build(genotype, num_classes, passes=()).eval()
    params = sum(p.numel() for p in net.parameters())
    for size in sizes:
        with FlopCounterMode(display=False) as counter:  # without gradients attention is not counted
            net(torch.randn(1, 3, *size))
            features = net.forward_intermediates(torch.randn(1, 3, *size))
        declared = uninas.cost(genotype, size, num_classes)
        assert declared.params == params
        parts = list(cost_parts(genotype, size, num_classes))
        head = next(part for path, part, _ in parts if path == "head")
        assert 2 * (2 * declared.macs - head.macs) == counter.get_total_flops()  # two passes, the second without head
        ends = [
            max(i for i, (path, _, _) in enumerate(parts) if path.startswith(f"stages[{s}]"))
            for s in range(len(features))
        ]
        assert [tuple(f.shape[2:]) for f in features] == [parts[i][2] for i in ends]
        assert [f.shape[1] for f in features] == [stage.width for stage in genotype.stages]


@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("kind", DOWNSAMPLING)
def test_downsampling(kind, residual):
    width = 8 if kind == "none" else 16
    genotype = Genotype(
        (stage(8, "none"), stage(width, kind, 2, residual=residual, norm="batch"), stage(width, "pool")),
        Stem((StemConv(8, 3, 1),)),
    )
    check_cost(genotype)
    assert genotype.strides == ((1, 1, 2) if kind in ("none", "project") else (1, 2, 4))


UNITS = [
    Downsample("bottleneck", stride=1, ratio=2),
    Downsample("inverted", stride=1, ratio=1, kernel=5, activation="relu6", squeeze=4),
    Downsample("inverted", ratio=4, kernel=7, activation="silu", squeeze=16),
    Downsample("mbconv", ratio=2, kernel=5, activation="gelu"),
    Downsample("attention", head_width=4, size=3),
]


@pytest.mark.parametrize("unit", UNITS, ids=str)
def test_settings_of_units(unit):
    block = Block((SubBlock(conv3()),))
    genotype = Genotype((Stage(8, (block,), Downsample("none")), Stage(16, (block,), unit)), Stem((StemConv(8, 3, 1),)))
    check_cost(genotype)
    assert genotype.strides == (1, unit.stride)
    again = Genotype.from_dict(genotype.to_dict())
    assert again == genotype and again.stages[1].downsample == unit
    plain = Genotype((genotype.stages[0], Stage(16, (block,), Downsample(unit.kind))), genotype.stem)
    assert plain != genotype


def test_what_is_said_anyway_makes_no_difference():
    said = Downsample("inverted", stride=2, ratio=6, kernel=3, activation="relu")
    assert said == Downsample("inverted") and said.to_dict() == {"kind": "inverted"}
    assert Downsample("pool", stride=2) == Downsample("pool")
    assert Downsample("pool").to_dict() == {"kind": "pool"} and Downsample("pool").signature == "pool"


@pytest.mark.parametrize("kind", sorted(set(DOWNSAMPLING) - {"patch", "plain_pool"}))
def test_a_single_pixel_is_enough_except_for_patches_and_windows(kind):
    genotype = Genotype((stage(8, kind),), Stem((StemConv(8, 3, 1),)))
    check_cost(genotype, [(1, 1), (1, 3), (2, 1)])


@pytest.mark.parametrize(("kind", "what"), [("patch", "patch"), ("plain_pool", "window")])
def test_too_small_for_a_patch_or_a_window(kind, what):
    genotype = Genotype((stage(8, kind),), Stem((StemConv(8, 3, 2),)))
    assert uninas.cost(genotype, (3, 4)).macs > 0
    with pytest.raises(GenotypeError, match=f"an input of 1 x 4 is smaller than a 2 x 2 {what}"):
        uninas.cost(genotype, (2, 8))


@pytest.mark.parametrize(
    "convs",
    [
        (StemConv(8, 3, 2, bias=False, norm="batch", activation="gelu"), StemConv(8, 3, 1)),
        (StemConv(8, 4, 4, norm="layer"),),
        (StemConv(8, 7, 2, norm="rms", activation="relu"), StemConv(16, 2, 2, bias=False), StemConv(8, 1, 1)),
        (StemConv(16, 5, 3, norm="group", activation="silu"), StemConv(8, 1, 1, activation="hardswish")),
        (StemConv(16, 7, 2, norm="batch", pool="max"), StemConv(8, 1, 1)),
        (StemConv(8, 7, 4, padding=2),),
    ],
)
def test_stems(convs):
    genotype = Genotype((stage(8, "none"),), Stem(convs))
    check_cost(genotype, [(32, 32), (33, 47), (17, 9)])
    expected = 1
    for conv in convs:
        expected *= conv.stride * (2 if conv.pool else 1)
    assert genotype.stem.stride == expected == genotype.strides[0]


@pytest.mark.parametrize(
    ("norm", "activation", "dropout", "pool_first"),
    [
        combination
        for combination in itertools.product([None, *NORMS], [None, "relu"], [0.0, 0.2], [False, True])
        if not (combination[0] == "batch" and combination[3])
    ],
)
def test_heads(norm, activation, dropout, pool_first):
    head = Head(norm, activation, dropout, pool_first)
    genotype = Genotype((stage(16, "conv"),), Stem((StemConv(8, 1),)), head)
    check_cost(genotype, [(7, 4)])
    names = [type(m).__name__ for m in uninas.build(genotype, 7).head]  # type: ignore[union-attr]
    assert names[-1] == "PointLinear"
    assert ("Dropout" in names) == (dropout > 0)
    assert (names[0] == "GlobalAverage") == (pool_first or not (norm or activation))
    without = [type(m).__name__ for m in uninas.build(genotype, 0).head]  # type: ignore[union-attr]
    assert without == [name for name in names if name not in ("Dropout", "PointLinear")]
    assert uninas.cost(genotype, 7, 0).params == uninas.cost(genotype, 7, 7).params - 7 * 17


@pytest.mark.parametrize("pool_first", [False, True])
def test_wider_heads(pool_first):
    head = Head(None if pool_first else "batch", "relu", width=24, pool_first=pool_first)
    genotype = Genotype((stage(16, "conv"),), Stem((StemConv(8, 1),)), head)
    check_cost(genotype, [(7, 4)])
    assert uninas.build(genotype, 0)(torch.randn(2, 3, 8, 8)).shape == (2, 24)
    assert uninas.build(genotype, 7).num_features == 24
    assert uninas.build(genotype, features_only=True).num_features == 16
    narrow = Genotype(genotype.stages, genotype.stem, Head(head.norm, "relu", pool_first=pool_first))
    assert narrow != genotype and "width" not in narrow.to_dict()["head"]


def test_norm_before_the_pool_is_not_norm_after_it():
    genotypes = [Genotype((stage(16, "conv"),), head=Head(pool_first=first)) for first in (True, False)]
    x = torch.randn(2, 3, 16, 16)
    outs = [uninas.build(g, 0, seed=1).eval()(x) for g in genotypes]
    assert genotypes[0] != genotypes[1]
    assert not torch.allclose(*outs, atol=1e-3)


def test_every_activation_and_norm_builds_everywhere():
    for norm, activation in itertools.zip_longest(NORMS, ACTIVATIONS):
        frame = {"norm": norm, "activation": activation}
        genotype = Genotype((stage(16, "conv", **frame),), Stem((StemConv(16, 3, 2, **frame),)))
        check_cost(genotype, [(9, 16)])


BAD = {
    "width": lambda: StemConv(0),
    "kernel": lambda: StemConv(8, kernel=1.5),  # type: ignore[arg-type]
    "stride": lambda: StemConv(8, kernel=2, stride=1),
    "bias": lambda: StemConv(8, bias=None),  # type: ignore[arg-type]
    "norm": lambda: StemConv(12, norm="group"),
    "activation": lambda: StemConv(8, activation="softmax"),
    "padding": lambda: StemConv(8, padding=-1),
    "pool": lambda: StemConv(8, pool="avg"),
    "convs": lambda: Stem(()),
    "head_width": lambda: Downsample("inverted", head_width=4),
    "ratio": lambda: Downsample("pool", ratio=4),
    "squeeze": lambda: Downsample("inverted", squeeze=0),
    "kind": lambda: Downsample(None),  # type: ignore[arg-type]
    "dropout": lambda: Head(dropout=True),
    "pool_first": lambda: Head(pool_first="no"),  # type: ignore[arg-type]
    "subblocks": lambda: Block(()),
    "blocks": lambda: Stage(8, ()),
    "residual": lambda: SubBlock(conv3(), residual=1),  # type: ignore[arg-type]
    "graph": lambda: SubBlock("conv3"),  # type: ignore[arg-type]
    "stages": lambda: Genotype(()),
    "stages[0].downsample.kind": lambda: Genotype((stage(8, "patch"),), Stem((StemConv(1, 1),))),
    "stages[0].blocks[0].subblocks[0].norm": lambda: Genotype((stage(8, "pool"),), Stem((StemConv(1, 1),))),
    "head.norm": lambda: Genotype(
        (Stage(1, (Block((SubBlock(conv3(), norm=None),)),), Downsample("conv")),), Stem((StemConv(8, 1),))
    ),
}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "bottleneck", "stride": 3}, "stride: wants one of 1, 2; got 3"),
        ({"kind": "inverted", "kernel": 4}, "kernel: wants one of 3, 5, 7; got 4"),
        ({"kind": "attention", "ratio": 4}, "ratio: downsampling 'attention' takes head_width, size"),
        ({"kind": "pool", "stride": 1}, "stride: downsampling 'pool' takes no settings"),
        ({"kind": "mbconv", "activation": "tanh"}, "activation: there is no 'tanh'"),
        ({"kind": "mbconv", "ratio": 2.5}, "ratio: wants a whole number"),
    ],
)
def test_bad_settings_of_units(settings, message):
    with pytest.raises(GenotypeError, match=message):
        Downsample(**settings)


def test_units_that_do_not_fit_their_widths():
    stem, block = Stem((StemConv(8, 3),)), Block((SubBlock(conv3()),))
    for unit, message in {
        Downsample("bottleneck", ratio=5): "16 channels cannot be divided by 5",
        Downsample("inverted", ratio=1, squeeze=3): "8 channels cannot be divided by 3",
    }.items():
        with pytest.raises(GenotypeError, match=rf"stages\[0\]\.downsample\.kind: {message}"):
            Genotype((Stage(16, (block,), unit),), stem)


@pytest.mark.parametrize("path", BAD)
def test_bad_frames(path):
    with pytest.raises(GenotypeError) as error:
        BAD[path]()
    assert error.value.path == path


@pytest.mark.parametrize("size", [0, -1, 2.5, "224", (224,), (1, 2, 3), (0, 5), (4, True), None, [4.0, 4]])
def test_bad_sizes(size):
    with pytest.raises(GenotypeError, match="input_size: a size is a positive int or") as error:
        uninas.cost(Genotype.from_dict(one_graph({"nodes": []})), size)
    assert error.value.path == "input_size"


@pytest.mark.parametrize("classes", [-1, 1.5, "ten", None, True])
def test_bad_class_counts(classes):
    with pytest.raises(GenotypeError) as error:
        uninas.cost(Genotype.from_dict(one_graph({"nodes": []})), 32, classes)
    assert error.value.path == "num_classes"
