"""Space files: what they admit, how they extend each other, and what is said about those that are wrong."""

from __future__ import annotations

import json
import random

import pytest
import yaml

import uninas
from uninas import resources, yaml_files
from uninas.errors import SpaceError
from uninas.genotype import Genotype
from uninas.ops import Matmul1
from uninas.search.space import Space
from uninas.search.space.files import merged
from uninas.search.space.graph_space import GraphSpace

from .small import small_file, small_network


def spec(name: str):
    space = Space.load(name)
    assert isinstance(space, GraphSpace)
    return space.specification


def test_shipped_spaces_admit_their_starts():
    for name, starts in (("uninas", {"resnet", "efficientnet", "coatnet"}), ("uninas_global", None)):
        space = Space.load(name)
        assert starts is None or set(space.starts) == starts
        for start in space.starts:
            assert space.start(start).key == uninas.blocks.network(start).key
    assert "vit" in Space.load("uninas_global").starts


def test_global_is_uninas_with_attention_everywhere():
    changed = {"name", "starts", "attention_stages"}
    one, other = (Space.load(name).fingerprint() for name in ("uninas", "uninas_global"))
    assert {key for key in one if one[key] != other[key]} == changed
    assert other["attention_stages"] == [1, 2, 3, 4]
    assert len(resources.find("spaces", "uninas_global").read_text().splitlines()) < 8


def test_paper_probability_of_removing():
    moves = spec("uninas").moves
    removing = ("remove", "remove_region", "unwrap", "remove_subblock", "remove_block")
    assert sum(moves[name] for name in removing) == pytest.approx(0.3)
    assert sum(moves.values()) == pytest.approx(1.0)


def test_vit_is_refused_with_the_setting_to_change():
    space = Space.load("uninas")
    with pytest.raises(SpaceError, match=r"stages \[1, 2\].*attention_stages.*uninas_global"):
        space.start("vit")
    with pytest.raises(SpaceError, match=r"stages \[1, 2\].*attention_stages"):
        space.check(uninas.blocks.network("vit"))


def test_unknown_start_names_the_nearest():
    with pytest.raises(SpaceError, match="did you mean 'coatnet'"):
        Space.load("uninas").start("coatnte")


# The tiny space.


@pytest.mark.parametrize("start", ["resnet", "efficientnet", "coatnet", "vit"])
def test_tiny_networks_are_small_and_keep_resolution(start):
    space = Space.load("uninas_tiny")
    genotype = space.start(start)
    cost = uninas.cost(genotype, 32, 10)
    assert 200_000 < cost.params < 2_000_000
    assert cost.macs < 60_000_000
    assert genotype.stem.stride == 1
    assert genotype.strides == (2, 4, 8, 16)
    for (i, _, _), sub in genotype.subblocks:
        for node, op in sub.graph.ops.items():
            if isinstance(op, Matmul1):
                assert sub.graph.inputs_of(node, genotype.stages[i].width)[0].channels / op.heads in (32, 48)
            if op.name == "rel_pos_bias":
                assert op.attributes()["size"] == 32 // genotype.strides[i]


def test_tiny_space_counts_for_small_images_and_never_exceeds_two_million():
    space = Space.load("uninas_tiny")
    assert isinstance(space, GraphSpace) and space.size_band is None and space.design_size == 32
    assert (space.limits.input_size, space.limits.num_classes, space.limits.max_params) == (32, 10, 2_000_000)
    genotype, rng = space.start("vit"), random.Random(0)
    for _ in range(60):
        genotype = space.mutate(genotype, rng)
        assert uninas.cost(genotype, 32, 10).params <= 2_000_000
        assert all(stage.width % 16 == 0 for stage in genotype.stages)


# Files that extend others.


def test_merging_key_by_key():
    base = {"a": {"x": 1, "y": {"z": 2}}, "b": [1, 2], "c": 3}
    assert merged(base, {"a": {"y": {"w": 4}, "x": None}, "b": [5], "d": {"e": 6}, "c": None}) == {
        "a": {"y": {"z": 2, "w": 4}},
        "b": [5],
        "d": {"e": 6},
    }
    assert base == {"a": {"x": 1, "y": {"z": 2}}, "b": [1, 2], "c": 3}
    assert merged({"a": 1}, {"a": {"x": 1}}) == {"a": {"x": 1}}


def test_a_file_extends_another_by_name_or_by_path_from_where_it_lies(tmp_path):
    folder = tmp_path / "sub"
    folder.mkdir()
    base = "extends: uninas\nname: base\nlimits: {nodes: 12}\nsize_band: null\nproxy: macs\n"
    (folder / "base.yaml").write_text(base)
    (tmp_path / "mine.yaml").write_text("extends: sub/base.yaml\nalphabet: {mask: null}\nlimits: {heads: 8}\n")
    space = Space.load(tmp_path / "mine.yaml")
    assert isinstance(space, GraphSpace)
    assert space.name == "base" and space.size_band is None and space.proxy == "macs"
    assert (space.limits.nodes, space.limits.heads, space.limits.blocks) == (12, 8, 12)
    assert "mask" not in space.specification.alphabet and "conv" in space.specification.alphabet
    assert Space.load("uninas").size_band == 0.85


def test_plain_data_extends_too():
    space = Space.from_dict({"extends": "uninas", "name": "mine", "starts": {"resnet": None}})
    assert space.name == "mine" and list(space.starts) == ["efficientnet", "coatnet"]


def test_all_kinds_of_spaces_extend(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("extends: nasbench201\nname: mine\n")
    assert (Space.load(path).name, type(Space.load(path))) == ("mine", type(Space.load("nasbench201")))


def test_circles_are_named(tmp_path):
    for name, base in (("a", "b"), ("b", "c"), ("c", "b")):
        (tmp_path / f"{name}.yaml").write_text(f"extends: {base}.yaml\n")
    with pytest.raises(SpaceError, match=r"a.yaml: extends: a.yaml -> b.yaml -> c.yaml -> b.yaml goes in a circle"):
        Space.load(tmp_path / "a.yaml")
    (tmp_path / "d.yaml").write_text("extends: d.yaml\n")
    with pytest.raises(SpaceError, match=r"d.yaml -> d.yaml goes in a circle"):
        Space.load(tmp_path / "d.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "extends: uninass\n",
            r"mine.yaml: extends: there is nothing called 'uninass' in spaces; did you mean 'uninas'",
        ),
        ("extends: nowhere.yaml\n", r"mine.yaml: extends: nowhere.yaml: there is no such file"),
        ("extends: [uninas]\n", r"mine.yaml: extends: expected the name or the path of a space, got \['uninas'\]"),
        ("extends: list.yaml\n", r"mine.yaml: extends: .*list.yaml holds no mapping but list"),
        ("extends: broken.yaml\n", r"broken.yaml: not valid YAML: line 2"),
        ("extends: uninas\nlimits: {node: 3}\n", r"mine.yaml: limits.node: unknown key; did you mean 'nodes'"),
        ("extends: uninas\nmoves: null\n", r"mine.yaml: moves: is missing"),
        (
            "extends: uninas\nname: a\nname: b\n",
            r"mine.yaml: not valid YAML: line 3, column 1: the key 'name' is written",
        ),
    ],
)
def test_bad_extensions_name_the_file(tmp_path, text, message):
    (tmp_path / "mine.yaml").write_text(text)
    (tmp_path / "list.yaml").write_text("- 1\n")
    (tmp_path / "broken.yaml").write_text("a: [1\n")
    with pytest.raises(SpaceError, match=message):
        Space.load(tmp_path / "mine.yaml")


# Files that are wrong.


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"movse": {}}, r"^movse: unknown key; did you mean 'moves'"),
        ({"kind": "graph"}, r"^kind: there is no kind 'graph' of space; did you mean 'graphs'"),
        ({"kind": 3}, r"^kind: there is no kind 3 of space"),
        ({"limits": {"node": 3}}, r"^limits.node: unknown key; did you mean 'nodes'"),
        ({"limits": {"nodes": 0}}, r"^limits.nodes: .*greater than or equal to 1, got 0"),
        ({"limits": {"max_params": "many"}}, r"^limits.max_params: 'many' is not a count"),
        ({"limits": {"min_width": 99, "max_width": 64}}, r"limits.min_width: 99 is above"),
        ({"size_band": 0}, r"^size_band: .*greater than 0, got 0"),
        ({"size_band": 1.5}, r"^size_band: .*less than or equal to 1, got 1.5"),
        ({"proxy": "naswto"}, r"^proxy: there is no proxy 'naswto'; did you mean 'naswot'"),
        ({"proxy": "logrank(macs"}, r"^proxy: "),
        ({"moves": {"inser": 1.0}}, r"^moves.inser: there is no such move; did you mean 'insert'"),
        ({"moves": {"insert": -1.0}}, r"^moves.insert: a weight is at least 0"),
        ({"moves": {"insert": 0.0}}, r"^moves: at least one weight"),
        ({"alphabet": {"convolution": {}}}, r"^alphabet.convolution: there is no operation"),
        ({"alphabet": {"conv": {"kernel": [1, 4]}}}, r"^alphabet.conv.kernel\[1\]: conv has no 4"),
        ({"alphabet": {"conv": {"kernels": [1]}}}, r"^alphabet.conv.kernels\[0\]: conv has no attribute"),
        ({"alphabet": {"conv": {"kernel": []}}}, r"^alphabet.conv.kernel: expected at least one value"),
        ({"alphabet": {"rel_pos_bias": {"size": [7]}}}, r"^alphabet.rel_pos_bias.size: follows from design_size"),
        ({"accepted": ["drop"]}, r"^accepted\[0\]: there is no operation 'drop'; did you mean 'dropout'"),
        ({"blocks": ["R", "Q"]}, r"^blocks\[1\]: there is no block 'Q'"),
        ({"starts": {"a": {"network": "resnett"}}}, r"^starts.a.network: .*did you mean 'resnet'"),
        ({"starts": {"a": {"network": "resnet", "width": [1]}}}, r"^starts.a.width: unknown key; did you mean"),
        (
            {"starts": {"a": {"network": "resnet", "stem": 3}}},
            r"^starts.a.stem: expected a list of convolutions .*got 3",
        ),
        (
            {"starts": {"a": {"network": "resnet", "stem": [{"kernel": 3}]}}},
            r"^starts.a.stem: \[0\]: expected a mapping",
        ),
        (
            {"starts": {"a": {"network": "resnet", "stem": [{"width": 8, "kernle": 3}]}}},
            r"^starts.a.stem: \[0\]: unknown key 'kernle'; did you mean 'kernel'",
        ),
        (
            {"starts": {"a": {"network": "resnet", "stem": [{"width": 8}, {"width": 8, "kernel": 4}]}}},
            r"^starts.a.stem: \[1\].stride: an even kernel is a patch",
        ),
        ({"starts": {"a": {"network": "resnet", "stem": []}}}, r"^starts.a.stem: convs: a stem needs at least one"),
        ({"attention_stages": [0]}, r"^attention_stages: stages are counted from 1"),
        ({"frame": {"stem_width": [32]}}, r"^frame.stem_width: unknown key; did you mean 'stem_widths'"),
        ({"frame": {"stem_widths": [32, 0]}}, r"^frame.stem_widths\[1\]: .*greater than or equal to 1, got 0"),
        ({"frame": {"downsample": ["pol"]}}, r"^frame.downsample\[0\]: there is no 'pol'; did you mean 'pool'"),
        ({"frame": {"downsample": ["none"]}}, r"^frame.downsample\[0\]: there is no 'none'"),
        ({"frame": {"norms": ["layer", "bach"]}}, r"^frame.norms\[1\]: there is no 'bach'; did you mean 'batch'"),
        ({"frame": {"activations": ["tanh"]}}, r"^frame.activations\[0\]: there is no 'tanh'"),
        ({"frame": {"head": {"norm": ["layer"]}}}, r"^frame.head.norm: unknown key; did you mean 'norms'"),
    ],
)
def test_bad_files_name_the_place(change, message):
    with pytest.raises(SpaceError, match=message):
        Space.from_dict(small_file(**change))


def test_missing_key():
    data = small_file()
    del data["moves"]
    with pytest.raises(SpaceError, match=r"^moves: is missing"):
        Space.from_dict(data)


def test_start_outside_the_alphabet_or_the_limits():
    data = small_file()
    del data["alphabet"]["dwconv"]
    with pytest.raises(SpaceError, match=r"alphabet has no 'dwconv' \(stages\[0\].blocks\[0\].subblocks\[0\].graph"):
        Space.from_dict(data).start("coatnet")
    with pytest.raises(SpaceError, match=r"stages\[0\] breaks limits.nodes = 3"):
        Space.from_dict(small_file(limits={"nodes": 3})).start("coatnet")
    with pytest.raises(SpaceError, match=r"stages\[2\] breaks limits.affinities = 0"):
        Space.from_dict(small_file(limits={"affinities": 0, "min_width": 16})).start("coatnet")


def test_start_that_cannot_be_made():
    data = small_file(starts={"odd": {"network": "coatnet", "widths": [16, 16], "depths": [1, 1, 1, 1]}})
    with pytest.raises(SpaceError, match=r"starts.odd: widths: wants a value for each of 4 stages"):
        Space.from_dict(data).start("odd")


def test_a_start_with_a_stem_of_its_own():
    stem = [{"width": 24, "kernel": 4, "stride": 4, "norm": "layer"}]
    starts = {"mine": {"network": "coatnet", "stem": stem, "widths": [16, 16, 32, 32]}}
    genotype = Space.from_dict(small_file(starts=starts)).start("mine")
    assert (genotype.stem.width, genotype.stem.stride, genotype.strides) == (24, 4, (8, 16, 32, 64))
    sizes = {
        i: op.attributes()["size"]
        for (i, _, _), sub in genotype.subblocks
        for op in sub.graph.ops.values()
        if op.name == "rel_pos_bias"
    }
    assert sizes == {2: 7, 3: 4}  # 224 / 32, and 224 / 64 rounded up


def test_load_by_path_and_unreadable_files(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(small_file()))
    assert Space.load(path).name == Space.load(str(path)).name == "small"
    path.write_text("a: [1\n")
    with pytest.raises(SpaceError, match=r"mine.yaml: not valid YAML: line \d+, column \d+"):
        Space.load(path)
    path.write_text("- 1\n")
    with pytest.raises(SpaceError, match=r"mine.yaml: wants a mapping .* got list"):
        Space.load(path)
    uninas.blocks.network("resnet").save(path)
    with pytest.raises(SpaceError, match=r"mine.yaml: holds a network, not a space .*--start"):
        Space.load(path)
    path.write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(SpaceError, match=r"mine.yaml: cannot read"):
        Space.load(path)


def test_json_is_read_too(tmp_path):
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(small_file()))
    assert Space.load(path).fingerprint() == Space.from_dict(small_file()).fingerprint()


def test_unknown_names_and_paths():
    with pytest.raises(SpaceError, match="did you mean 'uninas'"):
        Space.load("uninass")
    with pytest.raises(SpaceError, match="no such file"):
        Space.load("nowhere/mine.yaml")


def test_numbers_are_read_as_genotype_files_read_them(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("extends: uninas\nalphabet: {layer_scale: {init: [1e-6]}}\n")
    space = Space.load(path)
    assert isinstance(space, GraphSpace)
    assert space.specification.alphabet["layer_scale"]["init"] == [1e-6]


def test_a_fingerprint_is_json_from_which_the_space_can_be_read_again():
    for name in ("uninas", "uninas_global", "uninas_tiny"):
        space = Space.load(name)
        text = json.dumps(space.fingerprint(), sort_keys=True)
        assert Space.from_dict(json.loads(text)).fingerprint() == space.fingerprint()
        assert json.dumps(Space.load(name).fingerprint(), sort_keys=True) == text
    other = Space.from_dict(merged(small_file(), {"limits": {"nodes": 39}}))
    assert other.fingerprint() != Space.from_dict(small_file()).fingerprint()


def test_every_key_of_the_shipped_file_is_explained():
    """Keys with a meaning that their name does not give away carry a comment."""
    text = resources.find("spaces", "uninas").read_text()
    for key in ("design_size", "size_band", "accepted", "frame"):
        at = text.index(f"\n{key}:")
        line = text[at + 1 :].splitlines()[0]
        before = text[:at].splitlines()[-1]
        assert "#" in line or before.startswith("#"), key
    assert set(yaml_files.read(resources.find("spaces", "uninas"))) >= {"frame", "size_band", "accepted"}


def test_a_user_s_network_need_not_keep_the_rules_of_moves(tmp_path):
    """Such as one with a norm behind a norm: it may be where a search begins."""
    space = Space.from_dict(small_file())
    genotype = small_network("resnet")
    data = genotype.to_dict()
    graph = data["graphs"]["stage1_block1_1"]
    graph["nodes"] += [{"id": "n1", "op": "batch_norm"}, {"id": "n2", "op": "layer_norm"}]
    space.check(Genotype.from_dict(data))
