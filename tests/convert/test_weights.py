"""Weights of theirs in our networks: the numbers are the same, and nothing else is left."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

import uninas
from uninas.compiler import load_weights, save_weights
from uninas.convert.networks import to_genotype
from uninas.convert.read import load
from uninas.convert.run import convert
from uninas.convert.tree import BlockTree, Model, Node, StageTree, attention, fork_merge, sequential
from uninas.convert.weights import to_ours
from uninas.convert.write import dumps
from uninas.errors import WeightsError

from .reference import Weights, run
from .trees import LETTERS, example, start


def close(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Within 1e-4 in units of the largest logit, where that is above 1."""
    return float((a - b).abs().max()) <= 1e-4 * max(1.0, float(b.abs().max()))


def check(model: Model, folder, seed: int = 0) -> None:
    """There and back: outputs, used parameters, key, and every tensor that their network uses."""
    weights, x = Weights(seed), torch.randn(2, 3, model.img_size, model.img_size)
    expected = run(model, weights, x)
    expected.sum().backward()
    expected = expected.detach()
    (folder / "theirs.json").write_text(dumps(model), encoding="utf-8")
    save_weights(weights.plain(), folder / "theirs.pth")
    done = convert(folder / "theirs.json", out=folder / "ours.yaml", weights=folder / "theirs.pth", force=True)
    assert done.params == weights.used()
    net = uninas.build(done.genotype, model.num_classes).eval()
    assert sum(p.numel() for p in net.parameters()) == weights.used()
    load_weights(net, folder / "ours.pth")
    with torch.no_grad():
        assert close(net(x), expected)
    back = {"out": folder / "again.json", "weights": folder / "ours.pth", "input_size": model.img_size}
    convert(folder / "ours.yaml", **back, force=True)
    again = convert(folder / "again.json", out=folder / "twice.yaml", weights=folder / "again.pth", force=True)
    assert again.genotype.key == done.genotype.key
    theirs = Weights()
    theirs.update(torch.load(folder / "again.pth", weights_only=True))
    names = set(theirs)
    with torch.no_grad():
        assert close(run(load(folder / "again.json"), theirs, x), expected)
    assert set(theirs) == names, "what was written back lacks a tensor"


@pytest.mark.parametrize("name", LETTERS)
def test_letters(name, tmp_path):
    widths = (96, 96, 96, 192) if name == "T" else (16, 32, 96, 96)
    check(start(name, widths, (1, 1, 1, 1), 64), tmp_path)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("name", LETTERS)
def test_mutated(name, seed, tmp_path):
    check(example(name, seed), tmp_path, seed)


def one_stage(*blocks: BlockTree, width: int = 96) -> Model:
    """A network with two stages, the last of which has the blocks."""
    first = BlockTree((Node("Conv1"),), (Node("Zero"),))
    return Model((StageTree(16, (first,)), StageTree(width, blocks)), 64, 7, 0.0, (8, 16))


NONE = (Node("Zero"),)
BIAS = (Node("RelPosBias", number=8), Node("Softmax"))
PLAIN_HEAD = ((), (), (), BIAS, ())
OTHER_HEAD = ((Node("GELU"),), (), (Node("Conv1"),), (Node("Conv3"), *BIAS), (Node("BatchNorm"),))
EVERY_PAIR = (
    *(
        Node(kind)
        for kind in ("Conv1", "Conv3", "ConvDepth3", "ConvDepth5", "BatchNorm", "MaxPool", "Mask", "LayerNorm")
    ),
    sequential("AvgAndUpsample", (Node("Conv1"), Node("BatchNorm"))),
    sequential("ExpandAndReduce", (Node("RelPosBias", number=8), Node("LayerNorm"), Node("GELU")), 4),
    fork_merge("copy", "multiply", (), (Node("Sigmoid"),)),
)
EVERY_POINT = (
    *(Node(kind) for kind in ("Conv1", "Conv3", "ConvDepth5", "BatchNorm", "LayerNorm", "MaxPool", "Mask")),
    Node("RelPosBias", number=1),
    sequential("AvgAndUpsample", (Node("Conv3"),)),
    fork_merge("chunk", "concat", (Node("GELU"),), (Node("Sigmoid"),)),
)
ATTENTION_AT_POINT = attention([((Node("Conv1"),), (), (), (Node("RelPosBias", number=1),), ())] * 3)
CASES = {
    "heads that differ": BlockTree((attention([PLAIN_HEAD, OTHER_HEAD, PLAIN_HEAD]),), NONE),
    "heads that are alike and changed": BlockTree((attention([OTHER_HEAD] * 3),), NONE),
    "everything between affinities": BlockTree((attention([((), (), (), EVERY_PAIR, ()), *[PLAIN_HEAD] * 2]),), NONE),
    "alike between affinities": BlockTree((attention([((), (), (), EVERY_PAIR[:7], ())] * 3),), NONE),
    "everything on a point": BlockTree((sequential("AvgAndUpsample", EVERY_POINT),), NONE),
    "attention on a point": BlockTree((sequential("AvgAndUpsample", (ATTENTION_AT_POINT,)), Node("Softmax")), NONE),
    "softmax on a point": BlockTree((sequential("AvgAndUpsample", (Node("Conv1"), Node("Softmax"))),), NONE),
    "no node at all": BlockTree((Node("Conv1"),), ()),
    "empty branches": BlockTree((fork_merge("copy", "add", (), ()), fork_merge("copy", "add", (), (), ())), ()),
    "what follows a zero": BlockTree((Node("Conv1"),), (Node("Conv3"), Node("Zero"), Node("Conv1"), Node("GELU"))),
    "one branch": BlockTree((fork_merge("", "", (Node("Conv1"),)), fork_merge("chunk", "concat", ())), NONE),
    "a single head": BlockTree(
        (
            fork_merge("convexp3", "concat", (), (Node("GELU"),), ()),
            fork_merge("chunk", "matmul", (Node("Conv1"),), (), ()),
        ),
        NONE,
    ),
    "a single head with a bias": BlockTree(
        (
            Node("ConvExp3"),
            Node("Chunk", number=3),
            Node("MergeModule", parts=(("process", (BIAS,)),), pair=("matmul", "")),
        ),
        NONE,
    ),
    "a sequence in a sequence": BlockTree((sequential("SequentialModule", (Node("Conv1"), Node("Identity"))),), NONE),
    "nested resizing": BlockTree(
        (
            sequential("ExpandAndReduce", (sequential("ReduceAndExpand", (Node("GELU"),), 2), Node("Sigmoid")), 3),
            sequential("ReduceAndExpand", (sequential("ExpandAndReduce", (Node("GELU"),), 4),), 4),
        ),
        NONE,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_cases(case, tmp_path):
    check(one_stage(CASES[case]), tmp_path)


def test_a_position_bias_of_a_feature_map(tmp_path):
    """Where the side of a map is a square number, their search adds biases to it."""
    model = start("R", (16, 16, 32, 32), (1, 1, 1, 1), 64)
    block = BlockTree((Node("RelPosBias", number=4), Node("Conv3"), Node("RelPosBias", number=4)), NONE)
    check(Model((StageTree(16, (block,)), *model.stages[1:]), 64, 7, 0.0, (8, 16)), tmp_path)


def test_sides_that_are_odd(tmp_path):
    check(start("E", (16, 16, 16, 16), (1, 1, 1, 1), 48), tmp_path)


def test_a_head_with_dropout(tmp_path):
    model = start("R", (16, 16, 16, 32), (1, 1, 1, 1), 32)
    check(replace(model, drop_rate=0.2), tmp_path)


def test_heads_in_another_order_are_noticed(tmp_path):
    """What these tests compare changes where one tensor is put together in another way."""
    model, weights, x = start("T", (96, 96, 96, 96), (1, 1, 1, 1), 64), Weights(), torch.randn(2, 3, 64, 64)
    expected = run(model, weights, x).detach()
    save_weights(weights.plain(), tmp_path / "theirs.pth")
    conversion = to_genotype(model)
    net = uninas.build(conversion.genotype, 7).eval()
    with torch.no_grad():
        net.load_state_dict(to_ours(conversion, 7, tmp_path / "theirs.pth"))
        assert close(net(x), expected)
        conversion.links = [link._replace(order=None) for link in conversion.links]
        net.load_state_dict(to_ours(conversion, 7, tmp_path / "theirs.pth"))
        assert float((net(x) - expected).abs().max()) > 0.01


@pytest.fixture
def files(tmp_path):
    model = start("R", (16, 16, 16, 32), (1, 1, 1, 1), 32)
    weights = Weights()
    run(model, weights, torch.randn(1, 3, 32, 32))
    (tmp_path / "theirs.json").write_text(dumps(model), encoding="utf-8")
    return tmp_path, weights.plain(), to_genotype(model)


def test_both_formats_of_weights(files):
    pytest.importorskip("safetensors")
    folder, state, _ = files
    for suffix in (".safetensors", ".pt"):
        save_weights(state, folder / f"theirs{suffix}")
        out = folder / f"ours{suffix[1:]}.yaml"
        done = convert(folder / "theirs.json", out=out, weights=folder / f"theirs{suffix}")
        assert done.files == (out, out.with_suffix(suffix))


def test_weights_of_another_network(files):
    folder, state, conversion = files
    name = "stages.0.blocks.0.subblock1.sequential.0.conv.weight"
    changed = {
        "are missing, first": {key: value for key, value in state.items() if key != name},
        "have no place in the network, first other": {**state, "other": state[name]},
        f"{name} differs in shape": {**state, name: state[name].transpose(0, 1)[:8]},
    }
    for message, wrong in changed.items():
        save_weights(wrong, folder / "wrong.pth")
        with pytest.raises(WeightsError, match=message):
            to_ours(conversion, 7, folder / "wrong.pth")
    save_weights(state, folder / "theirs.pth")
    with pytest.raises(WeightsError, match=r"head.fc.weight differs in shape \(\(7, 32\) there, \(9, 32\) here\)"):
        to_ours(conversion, 9, folder / "theirs.pth")
