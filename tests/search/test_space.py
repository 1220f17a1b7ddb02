"""Space files: what they admit, and what is said about those that are wrong."""

from __future__ import annotations

import pytest
import yaml

import uninas
from uninas import resources
from uninas.errors import SpaceError, UninasError
from uninas.search import Space

from .conftest import tiny_space


def test_shipped_spaces_admit_their_starts():
    for name, starts in (("uninas", {"resnet", "efficientnet", "coatnet"}), ("uninas_global", None)):
        space = Space.load(name)
        assert starts is None or set(space.starts) == starts
        for start in space.starts:
            assert space.start(start).key == uninas.blocks.network(start).key
    assert "vit" in Space.load("uninas_global").starts


def test_paper_probability_of_removing():
    moves = Space.load("uninas").moves
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


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"movse": {}}, r"^movse: unknown key; did you mean 'moves'"),
        ({"limits": {"node": 3}}, r"^limits.node: unknown key; did you mean 'nodes'"),
        ({"limits": {"nodes": 0}}, r"^limits.nodes: .*greater than or equal to 1, got 0"),
        ({"limits": {"max_params": "many"}}, r"^limits.max_params: 'many' is not a count"),
        ({"limits": {"min_width": 99, "max_width": 64}}, r"limits.min_width: 99 is above"),
        ({"moves": {"inser": 1.0}}, r"^moves.inser: there is no such move; did you mean 'insert'"),
        ({"moves": {"insert": -1.0}}, r"^moves.insert: a weight is at least 0"),
        ({"moves": {"insert": 0.0}}, r"^moves: at least one weight"),
        ({"alphabet": {"convolution": {}}}, r"^alphabet.convolution: there is no operation"),
        ({"alphabet": {"conv": {"kernel": [1, 4]}}}, r"^alphabet.conv.kernel\[1\]: conv has no 4"),
        ({"alphabet": {"conv": {"kernels": [1]}}}, r"^alphabet.conv.kernels\[0\]: conv has no attribute"),
        ({"alphabet": {"conv": {"kernel": []}}}, r"^alphabet.conv.kernel: wants at least one value"),
        ({"blocks": ["R", "Q"]}, r"^blocks\[1\]: there is no block 'Q'"),
        ({"starts": {"a": {"network": "resnett"}}}, r"^starts.a.network: .*did you mean 'resnet'"),
        ({"starts": {"a": {"network": "resnet", "width": [1]}}}, r"^starts.a.width: unknown key; did you mean"),
        ({"attention_stages": [0]}, r"^attention_stages: stages are counted from 1"),
    ],
)
def test_bad_files_name_the_place(change, message):
    with pytest.raises(SpaceError, match=message):
        Space.from_dict(tiny_space(**change))


def test_missing_key():
    data = tiny_space()
    del data["moves"]
    with pytest.raises(SpaceError, match=r"^moves: is missing"):
        Space.from_dict(data)


def test_start_outside_the_alphabet_or_the_limits():
    data = tiny_space()
    del data["alphabet"]["dwconv"]
    with pytest.raises(SpaceError, match=r"alphabet has no 'dwconv' \(stages\[0\].blocks\[0\].subblocks\[0\].graph"):
        Space.from_dict(data).start("coatnet")
    with pytest.raises(SpaceError, match=r"stages\[0\] breaks limits.nodes = 3"):
        Space.from_dict(tiny_space(limits={"nodes": 3})).start("coatnet")
    with pytest.raises(SpaceError, match=r"stages\[2\] breaks limits.affinities = 0"):
        Space.from_dict(tiny_space(limits={"affinities": 0, "min_width": 16})).start("coatnet")


def test_start_that_cannot_be_made():
    data = tiny_space(starts={"odd": {"network": "coatnet", "widths": [16, 16], "depths": [1, 1, 1, 1]}})
    with pytest.raises(SpaceError, match=r"starts.odd: widths: wants a value for each of 4 stages"):
        Space.from_dict(data).start("odd")


def test_load_by_path_and_unreadable_files(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(tiny_space()))
    assert Space.load(path).name == Space.load(str(path)).name == "tiny"
    path.write_text("a: [1\n")
    with pytest.raises(SpaceError, match=r"mine.yaml: not valid YAML: line \d+, column \d+"):
        Space.load(path)
    path.write_text("- 1\n")
    with pytest.raises(SpaceError, match=r"mine.yaml: wants a mapping .* got list"):
        Space.load(path)
    path.write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(SpaceError, match=r"mine.yaml: cannot read"):
        Space.load(path)


def test_unknown_names_and_paths():
    with pytest.raises(SpaceError, match="did you mean 'uninas'"):
        Space.load("uninass")
    with pytest.raises(SpaceError, match="no such file"):
        Space.load("nowhere/mine.yaml")


def test_installed_data_is_found_without_a_checkout(tmp_path, monkeypatch):
    folder = tmp_path / "_data" / "spaces"
    folder.mkdir(parents=True)
    (folder / "only.yaml").write_text("{}")
    monkeypatch.setattr(resources, "CHECKOUT", tmp_path / "nowhere")
    monkeypatch.setattr(resources, "INSTALLED", tmp_path / "_data")
    assert resources.find("spaces", "only") == folder / "only.yaml"
    with pytest.raises(UninasError, match="only"):
        resources.find("spaces", "uninas")
