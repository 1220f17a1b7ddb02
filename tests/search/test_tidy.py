"""Tidying takes out what changes nothing, and nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from graphs import WIDTH, graphs, wrap
from hypothesis import given, settings
from hypothesis import strategies as st

import uninas
from uninas import Genotype, GenotypeError
from uninas.genotype import Block, BlockGraph, Downsample, GraphBuilder, Ref, Stage, Stem, StemConv, SubBlock
from uninas.ops import make
from uninas.search.tidy import Removal, tidy

ROOT = Path(__file__).resolve().parents[2]
SIZE = 64


def chain(*ops: str | tuple[str, dict]) -> BlockGraph:
    """A graph of operations one behind the other."""
    b = GraphBuilder()
    return b.build(b.chain(b.input, *ops))


def drawn(write: Callable[[GraphBuilder, Ref], Ref]) -> BlockGraph:
    b = GraphBuilder()
    return b.build(write(b, b.input))


CONV3 = ("conv", {"kernel": 3})
CONV = chain(CONV3)
MLP = chain(("conv", {"ratio": 4}), "gelu", ("conv", {"ratio": "1/4"}))
SCALE = ("layer_scale", {"init": 1.0})


def on(graph: BlockGraph, **frame: object) -> Genotype:
    """A network of a convolution and of a sub-block around `graph`, which stands at (0, 0, 1)."""
    frame = {"norm": None, "residual": False, **frame}
    block = Block((SubBlock(CONV, None, False), SubBlock(graph, **frame)))  # type: ignore[arg-type]
    return Genotype((Stage(WIDTH, (block,), Downsample("none")),), Stem((StemConv(WIDTH, 1),)), name="planted")


def tidied(graph: BlockGraph, **frame: object) -> tuple[Genotype, list[Removal]]:
    return tidy(on(graph, **frame), size=SIZE)


def with_attention(b: GraphBuilder, x: Ref, *on_affinities: tuple[str, dict]) -> Ref:
    q, k, v = b.ports(b.add("chunk", b.add("conv", x, ratio=3), parts=3))
    affinity = b.chain(b.add("matmul1", q, k, heads=2), *on_affinities, "softmax")
    return b.add("conv", b.add("matmul2", affinity, v, heads=2))


def one_constant_add(b: GraphBuilder, x: Ref) -> Ref:
    """A channel's constant, which the softmax along columns does not see, beside what it does see."""
    x = b.add("conv", x, kernel=3)
    constant = b.chain(x, "global_avg_pool", "conv", "gelu", "upsample")
    return b.chain(b.add("add", x, constant), "softmax", CONV3)


def twins(b: GraphBuilder, x: Ref) -> Ref:
    x = b.add("conv", x)
    return b.add("conv", b.add("multiply", b.add("gelu", x), b.add("gelu", x)))


def twins_merged(b: GraphBuilder, x: Ref) -> Ref:
    x = b.add("gelu", b.add("conv", x))
    return b.add("conv", b.add("multiply", x, x))


def cut_apart(b: GraphBuilder, x: Ref) -> Ref:
    x = b.add("conv", x, kernel=3)
    return b.add("conv", b.add("concat", *b.ports(b.add("chunk", x, parts=2))))


PLANTED = {
    "dropout": (chain(CONV3, "dropout", "gelu", CONV3), chain(CONV3, "gelu", CONV3), ["dropout"]),
    "relu behind relu": (chain(CONV3, "relu", "relu", CONV3), chain(CONV3, "relu", CONV3), ["relu"]),
    "relu behind sigmoid": (chain(CONV3, "sigmoid", "relu", CONV3), chain(CONV3, "sigmoid", CONV3), ["relu"]),
    "norm behind norm": (
        chain(CONV3, "layer_norm", "layer_norm", CONV3),
        chain(CONV3, "layer_norm", CONV3),
        ["layer_norm"],
    ),
    "rms norm behind layer norm": (
        chain(CONV3, "layer_norm", "rms_norm", CONV3),
        chain(CONV3, "layer_norm", CONV3),
        ["rms_norm"],
    ),
    "rms norm before layer norm": (
        chain(CONV3, "rms_norm", "layer_norm", CONV3),
        chain(CONV3, "layer_norm", CONV3),
        ["rms_norm"],
    ),
    "batch norm behind batch norm": (
        chain(CONV3, "batch_norm", "batch_norm", CONV3),
        chain(CONV3, "batch_norm", CONV3),
        ["batch_norm"],
    ),
    "factor of 1 behind a convolution": (chain(CONV3, SCALE, "gelu"), chain(CONV3, "gelu"), ["layer_scale"]),
    "factor of 1 before a convolution": (chain("gelu", SCALE, CONV3), chain("gelu", CONV3), ["layer_scale"]),
    "mask over the whole map": (
        chain(CONV3, ("mask", {"band": 127}), CONV3),
        chain(CONV3, CONV3),
        ["mask"],
    ),
    "wider mask behind a mask": (
        chain(CONV3, ("mask", {"band": 3}), ("mask", {"band": 5}), CONV3),
        chain(CONV3, ("mask", {"band": 3}), CONV3),
        ["mask"],
    ),
    "average of a constant": (
        chain(CONV3, "global_avg_pool", "upsample", "avg_pool", CONV3),
        chain(CONV3, "global_avg_pool", "upsample", CONV3),
        ["avg_pool"],
    ),
    "pool of what is upsampled": (
        chain(CONV3, "global_avg_pool", "upsample", "global_avg_pool", "conv", "upsample"),
        chain(CONV3, "global_avg_pool", "conv", "upsample"),
        ["global_avg_pool (with upsample)"],
    ),
    "chunk and concat": (drawn(cut_apart), chain(CONV3, "conv"), ["concat (with chunk)"]),
    "a branch that adds nothing": (
        drawn(one_constant_add),
        chain(CONV3, "softmax", CONV3),
        ["add (with global_avg_pool, conv, gelu, upsample)"],
    ),
    "the same twice": (drawn(twins), drawn(twins_merged), ["gelu (copy of gelu)"]),
}


@pytest.mark.parametrize("kind", PLANTED)
@pytest.mark.parametrize("residual", [False, True])
def test_planted_redundancies_go_and_nothing_else(kind: str, residual: bool) -> None:
    littered, clean, what = PLANTED[kind]
    found, removals = tidied(littered, residual=residual)
    assert found.key == on(clean, residual=residual).key
    assert [removal.what for removal in removals] == what
    assert removals[0].where.startswith("stages[0].blocks[0].subblocks[1].graph: ")
    assert all(removal.difference <= 1e-4 for removal in removals)


MATTERS = {
    "mlp": MLP,
    "small factors": chain(CONV3, ("layer_scale", {"init": 0.1}), CONV3),
    "factors that nothing makes up for": chain(CONV3, "gelu", SCALE, "softmax"),
    "factors of one of two readers": drawn(
        lambda b, x: b.add("multiply", b.chain(c := b.add("conv", x), SCALE), b.add("gelu", c))
    ),
    "convolutions in a row": chain("conv", "conv", ("dwconv", {"kernel": 5})),
    "relative position bias": drawn(lambda b, x: with_attention(b, x, ("rel_pos_bias", {"size": 3}))),
    "mask within attention": drawn(lambda b, x: with_attention(b, x, ("mask", {"band": 90, "fill": "exclude"}))),
    "mask that acts on large maps only": chain(CONV3, ("mask", {"band": 80}), CONV3),
    "narrower mask behind a mask": chain(CONV3, ("mask", {"band": 80}), CONV3, ("mask", {"band": 70}), CONV3),
    "layer norm behind rms and conv": chain("rms_norm", "conv", "layer_norm"),
    "batch norm behind layer norm": chain(CONV3, "layer_norm", "batch_norm", CONV3),
    "pools": chain(CONV3, "max_pool", "max_pool", "avg_pool", "avg_pool"),
    "double": drawn(lambda b, x: b.add("add", c := b.add("conv", x), c)),
    "squeeze and excite": drawn(
        lambda b, x: b.add("multiply", c := b.add("conv", x), b.chain(c, "global_avg_pool", "conv", "upsample"))
    ),
}


@pytest.mark.parametrize("kind", MATTERS)
@pytest.mark.parametrize("residual", [False, True])
def test_what_matters_stays(kind: str, residual: bool) -> None:
    genotype = on(MATTERS[kind], residual=residual)
    found, removals = tidy(genotype, size=SIZE)
    assert removals == []
    assert found is genotype


def test_the_frame_is_tidied_too() -> None:
    littered = chain("layer_norm", CONV3, "relu")
    found, removals = tidied(littered, norm="layer", activation="relu")
    (_, sub) = list(found.subblocks)[1]
    assert (sub.norm, sub.activation, [op.name for op in sub.graph.ops.values()]) == (
        None,
        None,
        ["layer_norm", "conv", "relu"],
    )
    assert [removal.what for removal in removals] == ["norm of the sub-block", "activation of the sub-block"]
    assert [removal.where for removal in removals] == ["stages[0].blocks[0].subblocks[1]"] * 2
    assert sum(removal.params for removal in removals) == 2 * WIDTH


def test_the_norm_of_the_frame_stays_before_branches_with_norms() -> None:
    branches = drawn(
        lambda b, x: b.add("add", b.chain(x, "layer_norm", "conv"), b.chain(x, "layer_norm", CONV3), b.add("gelu", x))
    )
    found, removals = tidied(branches, norm="layer", residual=True)
    assert next(sub.norm for (_, _, k), sub in found.subblocks if k == 1) == "layer"
    assert [removal.what for removal in removals] == ["layer_norm", "layer_norm"]


@pytest.mark.parametrize(
    ("graph", "frame"),
    [
        (chain("dropout"), {}),
        (drawn(lambda b, x: b.add("concat", *b.ports(b.add("chunk", x, parts=4)))), {}),
        (BlockGraph.from_sources({}, {"output": [Ref("input")]}), {}),
    ],
)
def test_a_subblock_that_is_the_identity_goes(graph: BlockGraph, frame: dict) -> None:
    found, removals = tidied(graph, **frame)
    assert [k for (_, _, k), _ in found.subblocks] == [0]
    assert [removal.what for removal in removals] == ["subblock"]
    assert removals[0].where == "stages[0].blocks[0].subblocks[1]"


def test_a_block_without_subblocks_goes_and_the_last_one_stays() -> None:
    nothing = Block((SubBlock(chain("dropout"), None, False),))
    stage = Stage(WIDTH, (Block((SubBlock(MLP),)), nothing, nothing), Downsample("none"))
    found, removals = tidy(Genotype((stage,), Stem((StemConv(WIDTH, 1),))), size=SIZE)
    assert [len(stage.blocks) for stage in found.stages] == [1]
    assert [removal.where for removal in removals] == [f"stages[0].blocks[{j}].subblocks[0]" for j in (1, 2)]
    alone = Genotype((Stage(WIDTH, (nothing, nothing), Downsample("none")),), Stem((StemConv(WIDTH, 1),)))
    found, removals = tidy(alone, size=SIZE)
    assert len(removals) == 2
    assert [len(sub.graph.ops) for _, sub in found.subblocks] == [0]


def test_downsampling_stays_with_its_subblock() -> None:
    """The first sub-block of a stage halves the resolution between its norm and its graph."""
    first = SubBlock(chain("layer_norm", "dropout"), "layer", True)
    stages = tuple(Stage(WIDTH * 2**i, (Block((first, SubBlock(MLP))),), Downsample("pool")) for i in range(2))
    found, removals = tidy(Genotype(stages, Stem((StemConv(WIDTH, 1),))), size=SIZE)
    assert [removal.what for removal in removals] == ["dropout", "dropout"]
    assert all(sub.norm == "layer" for _, sub in found.subblocks)
    assert [sub.graph.key for (_, _, k), sub in found.subblocks if k == 0] == [chain("layer_norm").key] * 2


def test_what_the_subblock_before_gives_is_known() -> None:
    block = Block((SubBlock(CONV, None, True, "relu"), SubBlock(chain("relu", "conv"), None, False)))
    found, removals = tidy(
        Genotype((Stage(WIDTH, (block,), Downsample("none")),), Stem((StemConv(WIDTH, 1),))), size=SIZE
    )
    assert [removal.where for removal in removals] == ["stages[0].blocks[0].subblocks[1].graph: relu"]
    assert [sub.graph.key for _, sub in found.subblocks] == [CONV.key, chain("conv").key]


@pytest.mark.parametrize(("band", "size", "goes"), [(127, 64, True), (126, 64, False), (126, 63, True)])
def test_masks_are_judged_at_twice_the_size(band: int, size: int, goes: bool) -> None:
    _, removals = tidy(on(chain(CONV3, ("mask", {"band": band}), CONV3)), size=size)
    assert [removal.what for removal in removals] == (["mask"] if goes else [])


def test_costs_of_removals_add_up() -> None:
    genotype = on(PLANTED["a branch that adds nothing"][0], norm="layer", residual=True)
    found, removals = tidy(genotype, size=(SIZE, 32))
    before, after = (uninas.cost(g, (SIZE, 32)) for g in (genotype, found))
    assert sum(removal.params for removal in removals) == before.params - after.params > 0
    assert sum(removal.macs for removal in removals) == before.macs - after.macs > 0


def test_twice_is_once_and_the_name_is_kept() -> None:
    genotype = on(chain("dropout", CONV3, "relu", "relu", CONV3, "layer_norm", "rms_norm", SCALE, CONV3, "dropout"))
    found, removals = tidy(genotype, size=SIZE)
    assert (found.name, len(removals)) == ("planted", 5)
    assert found.key != genotype.key
    again, nothing = tidy(found, size=SIZE)
    assert again is found and nothing == []
    assert tidy(genotype, size=SIZE) == (found, removals)


LITTERED = chain(CONV3, "dropout", "relu", CONV3, "layer_norm", "layer_norm", CONV3, SCALE)


def names(genotype: Genotype) -> list[str]:
    return [op.name for _, sub in genotype.subblocks for op in sub.graph.ops.values()]


def test_the_caller_is_asked_once_when_all_is_well() -> None:
    asked: list[Genotype] = []
    found, removals = tidy(on(LITTERED), keeps=lambda g: asked.append(g) is None, size=SIZE)
    assert [g.key for g in asked] == [found.key]
    assert len(removals) == 3
    tidy(found, keeps=lambda g: pytest.fail("there was nothing to ask"), size=SIZE)


@pytest.mark.parametrize(
    ("op", "count"), [("dropout", 1), ("layer_norm", 2), ("layer_scale", 1)], ids=lambda value: str(value)
)
def test_what_the_caller_needs_stays_and_only_that(op: str, count: int) -> None:
    def keeps(genotype: Genotype) -> bool:
        return names(genotype).count(op) == count

    found, removals = tidy(on(LITTERED), keeps=keeps, size=SIZE)
    gone = {"dropout", "layer_norm", "layer_scale"} - {op}
    assert {removal.what for removal in removals} == gone
    assert keeps(found)
    assert tidy(found, keeps=keeps, size=SIZE) == (found, [])


def test_nothing_goes_when_the_caller_wants_none_gone() -> None:
    genotype = on(LITTERED)
    assert tidy(genotype, keeps=lambda g: False, size=SIZE) == (genotype, [])


def test_the_caller_sees_only_networks_that_compute_the_same() -> None:
    genotype, asked = on(LITTERED), list[Genotype]()
    tidy(genotype, keeps=lambda g: asked.append(g) is not None, size=SIZE)
    assert len({g.key for g in asked}) == len(asked) > 3
    for candidate in asked:
        assert_same(genotype, candidate)


def assert_same(before: Genotype, after: Genotype) -> None:
    """Both give the same logits in use: the same weights, of which those of two or more dimensions are not initial."""
    one, two = (uninas.build(g, 5).eval() for g in (before, after))
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in one.parameters():
            if weight.dim() > 1:
                weight.add_(torch.randn(weight.shape, generator=generator) / weight[0].numel() ** 0.5)
        theirs = one.state_dict()
        two.load_state_dict({name: theirs[name] for name in two.state_dict()})
        for side in (20, 33):
            x = torch.randn(2, 3, side, side, generator=generator)
            expected, found = one(x), two(x)
            assert float((expected - found).abs().max()) <= 1e-4 * float(expected.abs().max())


@settings(max_examples=15)
@given(
    graph=graphs(max_nodes=12),
    norm=st.sampled_from([None, "layer", "rms", "batch"]),
    residual=st.booleans(),
    activation=st.sampled_from([None, "relu"]),
)
def test_any_tidied_network_computes_the_same(
    graph: BlockGraph, norm: str | None, residual: bool, activation: str | None
) -> None:
    genotype = on(graph, norm=norm, residual=residual, activation=activation)
    found, removals = tidy(genotype, size=SIZE, seeds=(0,))
    assert Genotype.from_dict(found.to_dict()) == found
    assert (found.key == genotype.key) == (not removals)
    assert_same(genotype, found)
    if removals:
        assert tidy(found, size=SIZE, seeds=(0,))[1] == []


@settings(max_examples=10)
@given(graph=graphs(max_nodes=8), place=st.integers(0, 99), op=st.sampled_from(["dropout", "relu"]))
def test_planted_anywhere_dropout_and_a_second_relu_go(graph: BlockGraph, place: int, op: str) -> None:
    """On any edge, an operation that does nothing is found."""
    ops, sources = dict(graph.ops), dict(graph.sources)
    edges = [(node, position) for node, refs in sources.items() for position in range(len(refs))]
    node, position = edges[place % len(edges)]
    ref, planted = sources[node][position], ["planted"] if op == "dropout" else ["planted", "planted_too"]
    for name in planted:
        ops[name], sources[name] = make(op), (ref,)
        ref = Ref(name)
    sources[node] = (*sources[node][:position], ref, *sources[node][position + 1 :])
    found, _ = tidy(on(BlockGraph.from_sources(ops, sources)), size=SIZE, seeds=(0,))
    left = [name for _, sub in found.subblocks for name in sub.graph.ops if name in planted]
    assert len(left) <= (0 if op == "dropout" else 1)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"genotype": "net.yaml"}, ["genotype", "str", "Genotype.load"]),
        ({"size": 0}, ["input_size", "0"]),
        ({"size": "224"}, ["input_size", "224"]),
        ({"seeds": ()}, ["seeds", "()"]),
        ({"seeds": ("a",)}, ["seeds", "'a'"]),
        ({"tolerance": 0}, ["tolerance", "1e-4", "0"]),
        ({"tolerance": "1e-4"}, ["tolerance"]),
    ],
)
def test_wrong_arguments_are_named(arguments: dict, words: list[str]) -> None:
    genotype = arguments.pop("genotype", None) or wrap(MLP)
    with pytest.raises(GenotypeError) as caught:
        tidy(genotype, **arguments)
    assert all(word in str(caught.value) for word in words)


def test_errors_of_the_caller_come_through() -> None:
    def keeps(genotype: Genotype) -> bool:
        raise RuntimeError("the score failed")

    with pytest.raises(RuntimeError, match="the score failed"):
        tidy(on(LITTERED), keeps=keeps, size=SIZE)


def test_published_networks_need_all_they_have() -> None:
    for name in ("resnet", "coatnet", "convnext"):
        genotype = uninas.blocks.network(name, widths=(16, 16, 32, 32), depths=(1, 1, 1, 1))
        assert tidy(genotype) == (genotype, []), name


def test_random_numbers_of_the_caller_are_untouched() -> None:
    before = torch.get_rng_state()
    tidied(LITTERED)
    assert torch.equal(torch.get_rng_state(), before)


COMMAND = "from uninas.cli import main; main()"


def command(*arguments: str, cwd: Path) -> subprocess.CompletedProcess:
    """`uninas tidy ARGUMENTS` in a new process, torch on one thread."""
    return subprocess.run(
        [sys.executable, "-c", COMMAND, "tidy", *arguments, "--threads", "1"],
        capture_output=True,
        text=True,
        cwd=cwd,
        timeout=300,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
    )


def test_the_command_says_what_went_and_writes_what_is_left(tmp_path: Path) -> None:
    genotype = on(LITTERED)
    genotype.save(tmp_path / "best.yaml")
    done = command("best.yaml", "--input-size", "64x48", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = Genotype.load(tmp_path / "best_tidy.yaml")
    assert found == tidy(genotype, size=(64, 48))[0]
    assert "stages[0].blocks[0].subblocks[1].graph: dropout  dropout: 0 parameters" in done.stdout
    for g in (genotype, found):
        assert f"{uninas.cost(g, (64, 48)).params:,}" in done.stdout
        assert f"{uninas.cost(g, (64, 48)).macs:,}" in done.stdout
    assert "best_tidy.yaml" in done.stdout

    refused = command("best.yaml", cwd=tmp_path)
    assert refused.returncode == 2
    assert "best_tidy.yaml" in refused.stderr and "--force" in refused.stderr and "Traceback" not in refused.stderr

    again = command("best_tidy.yaml", "--out", "best_tidy.yaml", "--force", "--json", cwd=tmp_path)
    report = json.loads(again.stdout)
    assert report["removed"] == []
    assert report["key"] == {"before": found.key, "after": found.key}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best.yaml", "best_tidy.yaml"]


def test_the_command_reports_as_json(tmp_path: Path) -> None:
    genotype = on(LITTERED)
    genotype.save(tmp_path / "best.yaml")
    done = command("best.yaml", "--out", "clean.json", "--json", cwd=tmp_path)
    report = json.loads(done.stdout)
    found, removals = tidy(genotype)
    assert Genotype.load(tmp_path / "clean.json") == found
    assert report["params"]["before"] - report["params"]["after"] == sum(removal.params for removal in removals) > 0
    assert [item["what"] for item in report["removed"]] == [removal.what for removal in removals]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["no_such.yaml"], ["no_such.yaml"]),
        (["broken.yaml"], ["broken.yaml", "schema_version"]),
        (["good.yaml", "--input-size", "big"], ["big"]),
        (["good.yaml", "--out", "no_folder/clean.yaml"], ["no_folder", "--out"]),
        ([], ["GENOTYPE"]),
    ],
)
def test_wrong_usage_of_the_command(arguments: list[str], words: list[str], tmp_path: Path) -> None:
    (tmp_path / "broken.yaml").write_text("stages: []\n")
    on(MLP).save(tmp_path / "good.yaml")
    done = command(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert all(word in done.stderr for word in words), done.stderr
    assert len(list(tmp_path.iterdir())) == 2
