"""What a bad file says: the exact place, the value, and what to write instead; and never anything but GenotypeError."""

import contextlib
import copy
import json
import os
from pathlib import Path
from typing import Any

import pytest
from graphs import one_graph
from hypothesis import example, given, settings
from hypothesis import strategies as st

import uninas
from uninas import Genotype, GenotypeError
from uninas.genotype.file import dumps

CONV = {"op": "conv"}


def written() -> dict[str, Any]:
    """A file with four stages, graphs in place; stage 2's first graph has six nodes."""
    data = uninas.blocks.network("coatnet", widths=(16, 32, 64, 96), depths=(1, 1, 1, 1)).to_dict()
    graphs = data.pop("graphs")
    for stage in data["stages"]:
        for block in stage["blocks"]:
            for sub in block["subblocks"]:
                sub["graph"] = copy.deepcopy(graphs[sub["graph"]])
    return data


def node(data: dict[str, Any], index: int, stage: int = 2) -> dict[str, Any]:
    return data["stages"][stage]["blocks"][0]["subblocks"][0]["graph"]["nodes"][index]


GRAPH = "stages[2].blocks[0].subblocks[0].graph"


def _set(where: list[Any], value: Any):
    def change(data: Any) -> None:
        for key in where[:-1]:
            data = data[key]
        data[where[-1]] = value

    return change


def _del(*where: Any):
    def change(data: Any) -> None:
        for key in where[:-1]:
            data = data[key]
        del data[where[-1]]

    return change


SUB = ["stages", 2, "blocks", 0, "subblocks", 0]
NODES = [*SUB, "graph", "nodes"]

CASES: dict[str, tuple[Any, str, str]] = {
    # the top
    "unknown version": (_set(["schema_version"], 2), "schema_version", "reads version 1, the file has 2"),
    "version of another type": (_set(["schema_version"], "1"), "schema_version", "'1'"),
    "version that is true": (_set(["schema_version"], True), "schema_version", "True"),
    "no version": (_del("schema_version"), "schema_version", "missing"),
    "no stages": (_del("stages"), "stages", "missing"),
    "empty stages": (_set(["stages"], []), "stages", "at least one stage"),
    "stages of another type": (_set(["stages"], {"a": 1}), "stages", "wants a list, got dict"),
    "unknown key": (_set(["stage"], []), "stage", "did you mean 'stages'?"),
    "key that is no text": (_set([3], []), "3", "unknown key"),
    "name": (_set(["name"], ["a"]), "name", "wants text, got ['a']"),
    "graphs": (_set(["graphs"], []), "graphs", "mapping from names to graphs, got list"),
    "graph's name": (_set(["graphs"], {1: {"nodes": []}}), "graphs.1", "name of a graph is text, got 1"),
    "no graphs": (_set(["graphs"], None), "graphs", "mapping from names to graphs, got nothing"),
    # frames
    "stem": (_set(["stem"], []), "stem", "wants a mapping with convs; got list"),
    "stem without convs": (_set(["stem"], {"convs": []}), "stem.convs", "at least one convolution"),
    "stem conv without width": (_del("stem", "convs", 1, "width"), "stem.convs[1].width", "missing"),
    "stem conv's unknown key": (_set(["stem", "convs", 0, "kernal"], 3), "stem.convs[0].kernal", "'kernel'"),
    "stem conv's kernel": (_set(["stem", "convs", 1, "kernel"], 0), "stem.convs[1].kernel", "at least 1, got 0"),
    "stem conv's even kernel": (_set(["stem", "convs", 0, "kernel"], 4), "stem.convs[0].stride", "is 4, not 2"),
    "stem conv's norm": (_set(["stem", "convs", 0, "norm"], "lyer"), "stem.convs[0].norm", "did you mean 'layer'?"),
    "stem conv's bias": (_set(["stem", "convs", 0, "bias"], 1), "stem.convs[0].bias", "true or false, got 1"),
    "stem norm that does not fit": (
        _set(["stem", "convs", 0], {"width": 12, "norm": "group"}),
        "stem.convs[0].norm",
        "12 channels cannot be split into 8 groups",
    ),
    "head": (_set(["head"], None), "head", "wants a mapping"),
    "head's dropout": (_set(["head", "dropout"], 1), "head.dropout", "probability in [0, 1), got 1"),
    "head's dropout that is no number": (_set(["head", "dropout"], float("nan")), "head.dropout", "nan"),
    "head's norm behind the pool": (
        _set(["head"], {"norm": "batch", "pool_first": True}),
        "head.norm",
        "cannot follow the pool",
    ),
    "head's norm that does not fit": (
        lambda data: (
            data["head"].update(norm="group"),
            data["stages"].append({"width": 12, "blocks": [{"subblocks": [{"graph": {"nodes": []}}]}]}),
        ),
        "head.norm",
        "12 channels",
    ),
    "stage": (_set(["stages", 1], "R"), "stages[1]", "wants a mapping with blocks, downsample, width; got str"),
    "stage's width": (_set(["stages", 1, "width"], 32.0), "stages[1].width", "whole number of at least 1, got 32.0"),
    "stage without blocks": (_set(["stages", 1, "blocks"], []), "stages[1].blocks", "at least one block"),
    "downsampling": (_set(["stages", 1, "downsample", "kind"], "pol"), "stages[1].downsample.kind", "'pool'"),
    "no downsampling where the width changes": (
        _set(["stages", 1, "downsample"], {"kind": "none"}),
        "stages[1].downsample.kind",
        "the width stays 16, got 32; use kind 'project'",
    ),
    "block": (_set(["stages", 2, "blocks", 0], None), "stages[2].blocks[0]", "wants a mapping with subblocks"),
    "block without sub-blocks": (
        _set(["stages", 2, "blocks", 0, "subblocks"], []),
        "stages[2].blocks[0].subblocks",
        "at least one sub-block",
    ),
    "sub-block's norm": (_set([*SUB, "norm"], "batchnorm"), "stages[2].blocks[0].subblocks[0].norm", "'batch'"),
    "sub-block's norm that does not fit": (
        _set(["stages", 0, "blocks", 0, "subblocks"], [{"norm": "group", "graph": {"nodes": []}}]),
        None,
        "",
    ),
    "sub-block's residual": (_set([*SUB, "residual"], "yes"), "stages[2].blocks[0].subblocks[0].residual", "'yes'"),
    "sub-block's activation": (
        _set([*SUB, "activation"], "softmax"),
        "stages[2].blocks[0].subblocks[0].activation",
        "there is no 'softmax'",
    ),
    "sub-block without graph": (_del(*SUB, "graph"), "stages[2].blocks[0].subblocks[0].graph", "missing"),
    "graph by an unknown name": (_set([*SUB, "graph"], "mlp"), GRAPH, "the file has no `graphs`"),
    # graphs
    "graph of another type": (_set([*SUB, "graph"], 5), GRAPH, "wants a mapping with nodes, output; got int"),
    "nodes of another type": (_set(NODES, "conv"), f"{GRAPH}.nodes", "wants a list, got str"),
    "node of another type": (_set([*NODES, 5], "conv"), f"{GRAPH}.nodes[5]", "{op: conv, kernel: 3}, got 'conv'"),
    "node without op": (_del(*NODES, 5, "op"), f"{GRAPH}.nodes[5].op", "every node needs an `op`"),
    "op that does not exist": (_set([*NODES, 5, "op"], "matmul3"), f"{GRAPH}.nodes[5].op", "did you mean 'matmul"),
    "op of another type": (_set([*NODES, 5, "op"], ["conv"]), f"{GRAPH}.nodes[5].op", "no operation ['conv']"),
    "unknown attribute": (_set([*NODES, 0, "kernels"], 3), f"{GRAPH}.nodes[0].kernels", "did you mean 'kernel'?"),
    "attribute of an op without any": (_set([*NODES, 4, "p"], 3), f"{GRAPH}.nodes[4].p", "it has none"),
    "attribute's value": (_set([*NODES, 6, "kernel"], 4), f"{GRAPH}.nodes[6].kernel", "no 4; choose from: 1, 3, 5, 7"),
    "attribute's type": (_set([*NODES, 6, "kernel"], "3"), f"{GRAPH}.nodes[6].kernel", "conv wants int, got '3'"),
    "attribute that is a list": (_set([*NODES, 6, "kernel"], [3]), f"{GRAPH}.nodes[6].kernel", "[3]"),
    "attribute that is infinite": (
        _set([*NODES, 4], {"op": "layer_scale", "init": float("inf")}),
        f"{GRAPH}.nodes[4].init",
        "finite",
    ),
    "ratio": (_set([*NODES, 6, "ratio"], "four"), f"{GRAPH}.nodes[6].ratio", "written like 4 or 1/4, got 'four'"),
    "infinite ratio": (_set([*NODES, 6, "ratio"], float("inf")), f"{GRAPH}.nodes[6].ratio", "got inf"),
    "endless ratio": (_set([*NODES, 6, "ratio"], "1e999999999"), f"{GRAPH}.nodes[6].ratio", "1e999999999"),
    "ratio that is not offered": (_set([*NODES, 6, "ratio"], 5), f"{GRAPH}.nodes[6].ratio", "conv has no 5"),
    "id": (_set([*NODES, 5, "id"], "2nd"), f"{GRAPH}.nodes[5].id", "Python identifier"),
    "id that is a list": (_set([*NODES, 5, "id"], ["a"]), f"{GRAPH}.nodes[5].id", "an id is text, got ['a']"),
    "id that is nothing": (_set([*NODES, 5, "id"], None), f"{GRAPH}.nodes[5].id", "an id is text, got None"),
    "id that is empty": (_set([*NODES, 5, "id"], ""), f"{GRAPH}.nodes[5].id", "''"),
    "id of the input": (_set([*NODES, 5, "id"], "input"), f"{GRAPH}.nodes[5].id", "the graph's own input"),
    "id of the output": (_set([*NODES, 5, "id"], "output"), f"{GRAPH}.nodes[5].id", "the graph's own output"),
    "id used twice": (_set([*NODES, 5, "id"], "chunk"), f"{GRAPH}.nodes[5].id", "used by nodes[1] too"),
    "id of torch": (_set([*NODES, 5, "id"], "half"), f"{GRAPH}.nodes[5].id", "write 'half_1'"),
    "inputs of another type": (_set([*NODES, 5, "inputs"], "conv"), f"{GRAPH}.nodes[5].inputs", "a list, got str"),
    "dangling input": (_set([*NODES, 5, "inputs", 0], "gone"), f"{GRAPH}.nodes[5].inputs[0]", "no node 'gone'"),
    "dangling port": (
        _set([*NODES, 5, "inputs", 1], "chunk:3"),
        f"{GRAPH}.nodes[5].inputs[1]",
        "'chunk' has output ports 0 to 2, not 3",
    ),
    "port of the input": (_set([*NODES, 0, "inputs"], ["input:1"]), f"{GRAPH}.nodes[0].inputs[0]", "0 to 0, not 1"),
    "port that is no number": (
        _set([*NODES, 5, "inputs", 1], "chunk:b"),
        f"{GRAPH}.nodes[5].inputs[1]",
        "`node` or `node:port`, got 'chunk:b'",
    ),
    "port that is no ordinary number": (
        _set([*NODES, 5, "inputs", 1], "chunk:²"),
        f"{GRAPH}.nodes[5].inputs[1]",
        "`node` or `node:port`, got 'chunk:²'",
    ),
    "input that is no text": (_set([*NODES, 5, "inputs", 1], 7), f"{GRAPH}.nodes[5].inputs[1]", "got 7"),
    "input from the output": (
        _set([*NODES, 5, "inputs", 0], "output"),
        f"{GRAPH}.nodes[5].inputs[0]",
        "no node 'output'",
    ),
    "too few inputs": (_set([*NODES, 5, "inputs"], ["chunk"]), f"{GRAPH}.nodes[5].inputs", "takes 2 input(s), got 1"),
    "too many inputs": (
        _set([*NODES, 0, "inputs"], ["input", "input"]),
        f"{GRAPH}.nodes[0].inputs",
        "conv 'qkv' takes 1 input(s), got 2",
    ),
    "no inputs": (_set([*NODES, 0, "inputs"], []), f"{GRAPH}.nodes[0].inputs", "got 0"),
    "cycle": (
        _set([*NODES, 0, "inputs"], ["softmax"]),
        f"{GRAPH}.nodes",
        "cycle: ",
    ),
    "output that does not exist": (_set([*SUB, "graph", "output"], "gone"), f"{GRAPH}.output", "no node 'gone'"),
    "output that is no text": (_set([*SUB, "graph", "output"], None), f"{GRAPH}.output", "got None"),
    "grid": (
        _set([*NODES, 3], {"id": "rel_pos_bias", "op": "max_pool"}),
        f"{GRAPH}.nodes[3]",
        "max_pool is not defined on the pair grid, only on: full",
    ),
    "shape": (_set([*NODES, 1, "parts"], 5), f"{GRAPH}.nodes[1].parts", "192 channels cannot be split into 5"),
    "heads": (_set([*NODES, 5, "heads"], 3), f"{GRAPH}.nodes[5].heads", "heads=3 but its first input has 2"),
    "output shape": (_set([*NODES, 6, "ratio"], 2), f"{GRAPH}.output", "gives 128 channels on the full grid, but 64"),
}


@pytest.mark.parametrize("case", CASES)
def test_the_path_and_what_to_do(case):
    change, path, message = CASES[case]
    data = written()
    change(data)
    if path is None:  # a change that looks alike and is valid
        Genotype.from_dict(data)
        return
    with pytest.raises(GenotypeError) as error:
        Genotype.from_dict(data)
    assert error.value.path == path
    assert message in error.value.message
    assert str(error.value) == f"{path}: {error.value.message}"


def test_the_unchanged_file_is_valid():
    assert Genotype.from_dict(written()).stages[2].width == 64


def test_all_nodes_of_a_cycle_are_named():
    data = written()
    node(data, 0)["inputs"] = ["softmax"]
    with pytest.raises(GenotypeError) as error:
        Genotype.from_dict(data)
    assert set(error.value.message.split("cycle: ")[1].split(" -> ")) == {
        *("qkv", "chunk", "matmul1", "rel_pos_bias", "softmax"),
    }


def test_a_graph_by_a_misspelt_name():
    data = one_graph("mpl")
    data["graphs"] = {"mlp": {"nodes": [CONV]}}
    with pytest.raises(GenotypeError, match="there is no graph 'mpl'; did you mean 'mlp'"):
        Genotype.from_dict(data)


def test_a_shared_graph_is_blamed_where_it_is_written_or_used():
    data = {**one_graph("g"), "graphs": {"g": {"nodes": [{"op": "conv", "kernel": 2}]}}}
    with pytest.raises(GenotypeError) as error:
        Genotype.from_dict(data)
    assert error.value.path == "graphs.g.nodes[0].kernel"
    data["graphs"] = {"g": {"nodes": [{"op": "conv", "ratio": "1/3"}]}}  # fine in itself, but not for 8 channels
    with pytest.raises(GenotypeError) as error:
        Genotype.from_dict(data)
    assert error.value.path == "stages[0].blocks[0].subblocks[0].graph.nodes[0].ratio"


@pytest.mark.parametrize("data", [None, [], "text", 5, {}, {1: 2}])
def test_data_that_is_no_genotype(data):
    with pytest.raises(GenotypeError):
        Genotype.from_dict(data)


TEXTS = {
    "not YAML": ("stages: [", "not valid YAML: line "),
    "tabs": ("\tstages: 1", "not valid YAML: line 1, column 1"),
    "a Python object": ("!!python/object/apply:os.getcwd []", "not valid YAML: line 1"),
    "a key twice": ("schema_version: 1\nstages: []\nstages: []", "line 3, column 1: the key 'stages' is written twice"),
    "a key that is a list": ("? [a]\n: b", "not valid YAML"),
    "a date that is none": ("name: 2024-99-99", "not valid YAML: month"),
    "a number that is none": ("name: !!int abc", "not valid YAML"),
    "a truth that is none": ("name: !!bool abc", "not valid YAML"),
    "a time that is none": ("name: !!timestamp abc", "not valid YAML"),
    "a number without end": (f"schema_version: {'9' * 5000}", "not valid YAML"),
    "a structure in itself": ("stages: &a [*a]\nschema_version: 1", "stages[0]: wants a mapping"),
    "an unknown alias": ("stages: *a", "not valid YAML: line 1, column 9"),
    "two documents": ("a: 1\n---\nb: 2", "not valid YAML"),
    "nothing": ("", "wants a mapping"),
    "plain text": ("what is this", "wants a mapping"),
    "deep": ("[" * 3000 + "]" * 3000, ""),
}


@pytest.mark.parametrize("case", TEXTS)
def test_unreadable_text(tmp_path, case):
    text, message = TEXTS[case]
    path = tmp_path / "net.yaml"
    path.write_text(text)
    with pytest.raises(GenotypeError) as error:
        Genotype.load(path)
    assert str(error.value).startswith(f"{path}: ")
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not valid JSON: "),
        ('{"stages": [], "stages": []}', "not valid JSON: the key 'stages' is written twice"),
        ("[" * 100_000, "not valid JSON: "),
        ("stages: []", "not valid JSON: "),
        ('{"schema_version": 1, "stages": []}', "stages: a network needs at least one stage"),
    ],
)
def test_unreadable_json(tmp_path, text, message):
    path = tmp_path / "net.json"
    path.write_text(text)
    with pytest.raises(GenotypeError) as error:
        Genotype.load(path)
    assert str(error.value).startswith(f"{path}: {message}")


def test_files_that_cannot_be_read(tmp_path):
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00\x81")
    for path, message in (
        (tmp_path / "gone.yaml", "cannot read: No such file"),
        (tmp_path, "cannot read: Is a directory"),
        (tmp_path / "bytes.yaml", "cannot read: "),
        (tmp_path / "nul\0.yaml", "cannot read: "),
        (tmp_path / ("x" * 300), "cannot read: File name too long"),
    ):
        with pytest.raises(GenotypeError) as error:
            Genotype.load(path)
        assert str(error.value).startswith(f"{path}: {message}")


def test_files_that_cannot_be_written(tmp_path):
    genotype = Genotype.from_dict(one_graph({"nodes": []}))
    (tmp_path / "file").write_text("kept")
    for path in (
        tmp_path,
        tmp_path / "gone" / "net.yaml",
        tmp_path / "file" / "net.yaml",
        tmp_path / ("x" * 300),
        tmp_path / "nul\0.yaml",
        "",
    ):
        with pytest.raises(GenotypeError, match="cannot write: "):
            genotype.save(path)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "kept"


def test_a_failed_save_keeps_the_file(tmp_path, monkeypatch):
    path = tmp_path / "net.yaml"
    path.write_text("kept")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(GenotypeError, match="cannot write: No space left on device"):
        Genotype.from_dict(one_graph({"nodes": []})).save(path)
    assert path.read_text() == "kept"
    assert [entry.name for entry in tmp_path.iterdir()] == ["net.yaml"]


# ---------------------------------------------------------------------------------------------- random damage

atoms = (
    st.none()
    | st.booleans()
    | st.integers(-3, 40)
    | st.floats()
    | st.sampled_from(
        ["", "conv", "conv_2", "input", "output", "chunk:1", "chunk", "layer", "pool", "none", "1/4", "gelu"]
    )
    | st.text(max_size=4)
)
junk = st.recursive(
    atoms, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(atoms, inner, max_size=3), max_leaves=6
)


def places(data: Any, path: tuple = ()) -> list[tuple]:
    """The paths of all values inside."""
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [path, *(place for key, value in list(items) for place in places(value, (*path, key)))]


VALID = [written(), Genotype.load(Path(__file__).parent / "assets" / "v1_everything.yaml").to_dict()]
TEXT = {"net.yaml": dumps(Genotype.from_dict(VALID[1])), "net.json": json.dumps(VALID[1])}


@st.composite
def damaged(draw) -> Any:
    """A valid file's data after one to three changes: values replaced, removed, moved, copied, or wrapped."""
    data = copy.deepcopy(draw(st.sampled_from(VALID)))
    for _ in range(draw(st.integers(1, 3))):
        found = places(data)[1:]
        if not found:
            return data
        *outer, key = draw(st.sampled_from(found))
        parent = data
        for step in outer:
            parent = parent[step]
        action = draw(st.sampled_from(["junk", "junk", "junk", "delete", "rename", "other", "wrap", "repeat"]))
        if action == "junk":
            parent[key] = draw(junk)
        elif action == "delete":
            del parent[key]
        elif action == "wrap":
            parent[key] = draw(st.sampled_from([[parent[key]], {"graph": parent[key]}, str(parent[key])]))
        elif action == "repeat" and isinstance(parent, list):
            parent.insert(key, copy.deepcopy(parent[key]))
        elif action == "rename" and isinstance(parent, dict):
            parent[draw(atoms)] = parent.pop(key)
        elif action == "other":
            value = data
            for step in draw(st.sampled_from(found)):
                value = value[step]
            parent[key] = copy.deepcopy(value)
    return data


@given(damaged())
@settings(max_examples=250)
@example({**written(), "name": "\ud800"})
def test_damage_gives_a_genotype_or_a_genotype_error(data):
    try:
        genotype = Genotype.from_dict(data)
    except GenotypeError as error:
        assert error.path or not isinstance(data, dict) or "" in data
        return
    # What is accepted is a genotype in every respect.
    assert Genotype.from_dict(genotype.to_dict()) == genotype
    assert len(genotype.key) == 64
    with contextlib.suppress(GenotypeError):  # the strides may be larger than any image
        assert uninas.cost(genotype, 4096).macs > 0


@given(st.integers(0, 10**6), st.binary(max_size=6), st.integers(0, 6))
@settings(max_examples=150)
def test_damaged_bytes(tmp_path_factory, position, inserted, removed):
    for name, text in TEXT.items():
        content = text.encode()
        at = position % len(content)
        path = tmp_path_factory.getbasetemp() / name
        path.write_bytes(content[:at] + inserted + content[at + removed :])
        try:
            Genotype.load(path)
        except GenotypeError as error:
            assert str(error).startswith(str(path))
