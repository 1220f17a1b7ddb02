"""Their files, read: what is there, and what is wrong with those that are not valid."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import uninas
from uninas.blocks import network
from uninas.convert.errors import ConvertError
from uninas.convert.networks import stem_of, to_genotype
from uninas.convert.read import load, model_from_dict
from uninas.convert.tree import walk
from uninas.genotype import Genotype

ASSETS = Path(__file__).parent / "assets"


def node(kind: str, *shape: int, **params) -> dict:
    return {"class": kind, "shape": list(shape), "params": params}


def sequence(*modules: dict) -> dict:
    return node("SequentialModule", 24, 16, 16, modules=list(modules))


def config(*modules: dict, **fields) -> dict:
    """One stage of one block with the nodes."""
    block = {"subblock1": sequence(*modules), "subblock2": sequence(node("Zero", 24, 16, 16))}
    return {"img_size": 64, "embed_dim": [24], "depths": [1], "model_str": json.dumps([[block]]), **fields}


@pytest.mark.parametrize(
    ("name", "letters", "widths"),
    [
        ("resnet", "RRRR", (96, 128, 384, 512)),
        ("efficientnet", "EEEE", (96, 192, 384, 512)),
        ("vit", "TTTT", (96, 192, 384, 768)),
        ("coatnet", "EETT", (96, 192, 384, 768)),
    ],
)
def test_letters_are_our_blocks(name, letters, widths):
    """With their stem, whose second convolution has no bias."""
    found = to_genotype(model_from_dict({"embed_dim": list(widths), "model_str": model_str(letters)})).genotype
    assert found.key == network(name, widths=widths, stem=stem_of((32, 64))).key


def model_str(letters: str) -> str:
    return json.dumps([[letter] * depth for letter, depth in zip(letters, (2, 3, 5, 2))])


@pytest.mark.parametrize(
    ("letters", "widths", "used"),
    [("RRRR", (64, 128, 384, 512), 24_810_504), ("EETT", (96, 192, 384, 768), 26_869_588)],
)
def test_parameters_that_get_a_gradient_there(letters, widths, used):
    """Counted in their package at 224 x 224; of all, there are 24,817,416 and 26,871,124."""
    model = model_from_dict({"embed_dim": list(widths), "model_str": model_str(letters)})
    assert uninas.cost(to_genotype(model).genotype).params == used


def test_defaults_are_theirs():
    model = model_from_dict({"model_str": json.dumps([["E"] * n for n in (2, 3, 5, 2)])})
    assert (model.img_size, model.num_classes, model.drop_rate, model.stem_width) == (224, 1000, 0.0, (32, 64))
    assert [stage.width for stage in model.stages] == [96, 192, 384, 768]
    assert model_from_dict(config(stem_width=20)).stem_width == (20, 20)


def test_a_stage_that_keeps_its_width_has_no_convolution():
    model = model_from_dict({"embed_dim": [64, 96], "depths": [1, 1], "model_str": '[["R"], ["R"]]'})
    found = to_genotype(model).genotype
    assert [stage.downsample.kind for stage in found.stages] == ["plain_pool", "pool"]


def test_full_trees():
    model = load(ASSETS / "trees.json")
    first, attention = model.stages[0].blocks[0], model.stages[1].blocks[0].first[0]
    assert [n.kind for n in first.first] == ["Conv3", "ForkMerge", "ExpandAndReduce"]
    assert [n.kind for n in attention.sequences("connections")[2]] == ["Mask", "Conv1", "Softmax"]
    assert [n.number for n in walk((attention,)) if n.kind == "RelPosBias"] == [8, 8]
    genotype = to_genotype(model).genotype
    assert genotype.head.dropout == 0.1
    heads = [
        op.attributes()["heads"]
        for op in genotype.stages[1].blocks[0].subblocks[0].graph.ops.values()
        if op.name == "matmul1"
    ]
    assert sorted(heads) == [1, 2], "two heads alike are one operation, the third stands alone"
    assert Genotype.from_dict(genotype.to_dict()).key == genotype.key


def test_letters_file_and_blocks_of_both_kinds():
    found = to_genotype(load(ASSETS / "letters.json")).genotype
    assert [len(block.subblocks) for stage in found.stages for block in stage.blocks] == [1, 1, 1, 2, 2]


FAULTS = {
    "no mapping": ([], "expected a mapping with img_size"),
    "a field of nobody": (config(width=3), "width: uninas 1.3.0 of the authors has no such field"),
    "a genotype": ({"schema_version": 1, "stages": []}, "schema_version: .* this is a genotype of ours"),
    "no blocks": ({"img_size": 64}, "model_str: is missing"),
    "blocks that are no text": (config(model_str=[["R"]]), "model_str: expected JSON in a string, got list"),
    "blocks that are no JSON": (config(model_str="[["), "model_str: the string is not JSON: "),
    "blocks of no stage": (config(model_str="3"), "model_str: expected a list of stages"),
    "a size": (config(img_size="64"), "img_size: expected a whole number of at least 16, got '64'"),
    "a small size": (config(img_size=8), "img_size: expected a whole number of at least 16, got 8"),
    "a rate": (config(drop_rate=1), r"drop_rate: expected a probability in \[0, 1\), got 1"),
    "widths": (config(embed_dim=[24, 0]), r"embed_dim\[1\]: expected a whole number"),
    "no widths": (config(embed_dim=24), "embed_dim: expected a list of whole numbers, got 24"),
    "stem widths": (config(stem_width=[1, 2, 3]), "stem_width: expected one or two widths"),
    "numbers of stages": (config(embed_dim=[24, 24]), "embed_dim: model_str has 1 stages, embed_dim 2 and depths 1"),
    "numbers of blocks": (config(depths=[2]), r"model_str\[0\]: expected a list of 2 blocks, as depths\[0\] says"),
    "a letter": (config(model_str='[["X"]]'), r"model_str\[0\]\[0\]: there is no block 'X'; choose from: E, R, T"),
    "a head that does not fit": (
        config(model_str='[["T"]]'),
        r"\[0\]\[0\]: attention there takes 96, 192, 384, 768 chan",
    ),
    "half a block": (config(model_str='[[{"subblock1": 3}]]'), r"\[0\]\[0\]: expected \"R\", \"E\", \"T\" or"),
    "a node": (config(node("Conv7", 24, 16, 16)), r"subblock1.modules\[0\]: uninas 1.3.0 .* has no node 'Conv7'; did"),
    "no node": (config({"shape": []}), r"model_str\[0\]\[0\].subblock1.modules\[0\]: expected a node"),
    "a lone add": (config(node("Add", 24, 16, 16)), "not read by their package either"),
    "a fork": (
        config(node("ForkMerge", 24, 16, 16, fork_merge_tuple=["copy", "concat"])),
        r"choose from: chunk/concat",
    ),
    "branches": (
        config(node("ForkMerge", 24, 16, 16, fork_merge_tuple=["copy", "add"], branches_count=2, branches=[])),
        r"modules\[0\].branches: expected 2 SequentialModules",
    ),
    "three that are multiplied": (
        config(
            node(
                "ForkMerge",
                fork_merge_tuple=["copy", "multiply"],
                branches_count=3,
                branches=[sequence(), sequence(), sequence()],
            )
        ),
        "copy/multiply takes 2 branches, got 3",
    ),
    "a table": (config(node("RelPosBias", 24, 15, 15)), r"modules\[0\].shape: a relative position bias has the shape"),
    "a sequence": (
        config(node("AvgAndUpsample", sequential=node("GELU"))),
        r"\.sequential: expected a SequentialModule",
    ),
    "a factor": (
        config(node("ExpandAndReduce", sequential=sequence(), factor=0)),
        r"\.factor: expected a whole number",
    ),
    "modules": (config(node("SequentialModule", modules=3)), r"\.modules: expected a list of nodes, got int"),
}


@pytest.mark.parametrize("case", FAULTS)
def test_faults(case):
    data, message = FAULTS[case]
    with pytest.raises(ConvertError, match=message):
        model_from_dict(data)


NOT_SAID = {
    "a factor that we have not": (config(node("ExpandAndReduce", sequential=sequence(), factor=5)), "conv has no 5"),
    "an odd chunk": (
        config(
            node("ForkMerge", fork_merge_tuple=["chunk", "concat"], branches_count=3, branches=[sequence()] * 3),
            embed_dim=[32],
        ),
        "32 channels cannot be split into 3 equal parts",
    ),
    "a chunk without a merge": (config(node("Chunk", branches_count=2), node("GELU")), "GELU takes one tensor"),
    "attention": (
        config(node("ForkMergeAttention", branches=[], connections=[], post_branches=[])),
        "0 heads of 32 channels on 24",
    ),
    "another shape": (config(node("ConvExp3", 24, 16, 16)), "the sequence does not keep its shape"),
    "a zero behind weights": (
        config(node("ExpandAndReduce", sequential=sequence(node("Zero")), factor=4)),
        "what feeds this Zero computes for nothing",
    ),
    "a first sub-block without its input": (config(node("Zero", 24, 16, 16)), "does not depend on its input"),
}  # fmt: skip


@pytest.mark.parametrize("case", NOT_SAID)
def test_what_our_graphs_cannot_say(case):
    data, message = NOT_SAID[case]
    with pytest.raises(ConvertError, match=message) as error:
        to_genotype(model_from_dict(data))
    assert error.value.path.startswith("model_str[0][0].subblock1")


def test_sizes_that_their_package_cannot_run():
    model = model_from_dict({"img_size": 56, "model_str": json.dumps([["E"] * n for n in (2, 3, 5, 2)])})
    with pytest.raises(
        ConvertError, match=r"model_str\[3\]\[0\]: at img_size 56, .* 2 x 2, its maps 1 x 1.*multiple of 32"
    ):
        to_genotype(model)


@pytest.mark.parametrize(("text", "message"), [("{", "not valid JSON"), ('{"a": 1, "a": 2}', "written twice")])
def test_files_that_cannot_be_read(tmp_path, text, message):
    path = tmp_path / "theirs.json"
    with pytest.raises(ConvertError, match="cannot read: No such file"):
        load(path)
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConvertError, match=message) as error:
        load(path)
    assert str(error.value).startswith(str(path))
