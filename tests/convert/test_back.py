"""Our genotypes as networks of theirs: there and back again, and the first thing that has no counterpart."""

from __future__ import annotations

import json

import pytest

from uninas.blocks import network
from uninas.convert.back import to_model
from uninas.convert.errors import ConvertError
from uninas.convert.networks import stem_of, to_genotype
from uninas.convert.read import model_from_dict
from uninas.convert.write import dumps
from uninas.genotype import Block, Downsample, Genotype, GraphBuilder, Head, Stage, Stem, StemConv, SubBlock

from .trees import LETTERS, example

STEM = stem_of((32, 64))


def again(model) -> Genotype:
    """What their file says, read anew."""
    return to_genotype(model_from_dict(json.loads(dumps(model)))).genotype


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("name", LETTERS)
def test_there_and_back_again(name, seed):
    model = example(name, seed)
    assert model_from_dict(json.loads(dumps(model))) == model
    there = to_genotype(model).genotype
    assert again(to_model(there, model.img_size)).key == there.key
    assert Genotype.from_dict(there.to_dict()).key == there.key


@pytest.mark.parametrize("name", ["resnet", "efficientnet", "vit", "coatnet"])
def test_known_networks(name):
    genotype = network(name, stem=replace_width(96 if name == "resnet" else 64))
    model = to_model(genotype)
    assert model.img_size == 224
    assert again(model).key == genotype.key


def replace_width(width: int) -> Stem:
    return stem_of((32, width))


def test_the_size_is_that_of_the_tables():
    assert to_model(network("vit", stem=STEM, input_size=128)).img_size == 128
    with pytest.raises(
        ConvertError, match=r"rel_pos_bias|the table is for 32 x 32, but the stage has 56 x 56"
    ) as error:
        to_model(network("vit", stem=STEM, input_size=128), 224)
    assert error.value.path.startswith("stages[0].blocks[0].subblocks[0].graph.nodes[")


def test_shapes_are_those_of_a_new_network():
    """MatmulLeft is written with the shape of what goes in: their package makes the affinities' of it."""
    model = to_model(network("vit", stem=STEM, input_size=64))
    block = json.loads(json.loads(dumps(model))["model_str"])[0][0]
    attention = block["subblock1"]["params"]["modules"][0]
    assert attention["shape"] == [96, 16, 16]
    assert {tuple(node["shape"]) for node in attention["params"]["matmullefts"]} == {(32, 16, 16)}
    assert attention["params"]["connections"][0]["shape"] == [1, 256, 256]
    assert [m["class"] for m in attention["params"]["connections"][0]["params"]["modules"]] == ["RelPosBias", "Softmax"]


def one(*ops, **settings) -> Genotype:
    """A network of one stage whose only sub-block is a chain of operations."""
    b = GraphBuilder()
    frame = {key: settings.pop(key) for key in ("norm", "residual", "activation") if key in settings}
    stage = {key: settings.pop(key) for key in ("downsample",) if key in settings}
    width = settings.pop("width", 96)
    sub = SubBlock(b.build(b.chain(b.input, *ops)), **frame)
    return Genotype((Stage(width, (Block((sub,)),), **stage),), **{"stem": STEM, **settings})


def heads_of(heads: int) -> Genotype:
    b = GraphBuilder()
    q, k, v = b.ports(b.add("chunk", b.add("conv", b.input, ratio=3), parts=3))
    out = b.add("matmul2", b.add("softmax", b.add("matmul1", q, k, heads=heads)), v, heads=heads)
    return Genotype((Stage(96, (Block((SubBlock(b.build(out)),)),)),), STEM)


def two(b: GraphBuilder, first, second, merge: str, **attributes) -> Genotype:
    out = b.add(merge, first, second, **attributes)
    return Genotype((Stage(96, (Block((SubBlock(b.build(out)),)),)),), STEM)


def product() -> Genotype:
    b = GraphBuilder()
    return two(b, b.input, b.add("gelu", b.input), "multiply", gate="none")


def branch() -> Genotype:
    b = GraphBuilder()
    first, second = b.ports(b.add("chunk", b.input, parts=2))
    return two(b, b.add("relu", first), second, "concat")


def unmerged() -> Genotype:
    b = GraphBuilder()
    first, second = b.ports(b.add("chunk", b.input, parts=2))
    return two(b, second, first, "concat")


def three_subblocks() -> Genotype:
    genotype = one("gelu")
    (sub,) = genotype.stages[0].blocks[0].subblocks
    return Genotype((Stage(96, (Block((sub,) * 3),)),), STEM)


BIASED = Stem((*STEM.convs[:1], StemConv(64)))
NODE = "stages[0].blocks[0].subblocks[0].graph.nodes[0]"
NOT_SAID = {
    "an operation": (one("silu"), NODE, "theirs has no silu"),
    "an operation in an expansion": (
        one(("conv", {"ratio": 4}), "relu", ("conv", {"ratio": "1/4"})),
        "stages[0].blocks[0].subblocks[0].graph.nodes[1]",
        "theirs has no relu",
    ),
    "an operation in a branch": (branch(), "stages[0].blocks[0].subblocks[0].graph.nodes[1]", "theirs has no relu"),
    "a kernel": (one(("dwconv", {"kernel": 7})), NODE, "theirs has no dwconv with kernel 7"),
    "a bias": (one(("conv", {"bias": False})), NODE, "theirs has bias True, this conv has False"),
    "a rate": (one(("dropout", {"p": 0.1})), NODE, "theirs has p 0.5, this dropout has 0.1"),
    "a band": (one(("mask", {"band": 3})), NODE, "theirs has band 5, this mask has 3"),
    "groups": (one(("conv", {"groups": 3})), NODE, "theirs has conv so only among the heads"),
    "a plain product": (product(), "", "sigmoid gate"),
    "parts in another order": (unmerged(), "", "theirs has concat so only among|32 channels a head"),
    "heads": (heads_of(4), "", "cannot be taken apart into heads"),
    "a residual": (one("gelu", residual=False), "stages[0].blocks[0].subblocks[0].residual", "no residual"),
    "a norm": (one("gelu", norm="batch"), "stages[0].blocks[0].subblocks[0].norm", "a layer norm before"),
    "an activation": (one("gelu", activation="relu"), "stages[0].blocks[0].subblocks[0].activation", "no activation"),
    "three sub-blocks": (three_subblocks(), "stages[0].blocks[0]", "two sub-blocks a block, this one 3"),
    "downsampling": (one("gelu", downsample=Downsample("patch")), "stages[0].downsample.kind", "starts with patch"),
    "a width that stays": (one("gelu", width=64), "stages[0].downsample.kind", "write plain_pool"),
    "a stem": (one("gelu", stem=BIASED), "stem.convs[1].bias", "theirs has false .* true; write bias: false"),
    "a long stem": (one("gelu", stem=Stem((*STEM.convs, StemConv(64)))), "stem.convs", "this one is 3"),
    "a head": (one("gelu", head=Head(norm="batch")), "head.norm", "theirs has 'layer' here, this network 'batch'"),
}  # fmt: skip


@pytest.mark.parametrize("case", NOT_SAID)
def test_the_first_thing_that_cannot_be_said(case):
    genotype, path, message = NOT_SAID[case]
    with pytest.raises(ConvertError, match=message) as error:
        to_model(genotype)
    assert (
        error.value.path == path
        if path
        else error.value.path.startswith("stages[0].blocks[0].subblocks[0].graph.nodes")
    )


@pytest.mark.parametrize("size", [33, 2])
def test_sizes_that_do_not_halve(size):
    with pytest.raises(ConvertError, match=f"--input-size: their package cannot run such a network at {size}"):
        to_model(one("gelu"), size)
