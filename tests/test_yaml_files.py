"""YAML and JSON: numbers as people write them, no key twice, and faults with their place."""

from __future__ import annotations

from fractions import Fraction

import pytest

from uninas import yaml_files
from uninas.engine import protocol
from uninas.engine.errors import ProtocolError
from uninas.errors import GenotypeError, ResourceError, SpaceError
from uninas.genotype import Genotype
from uninas.search.space import Space


@pytest.mark.parametrize("text", ["1e-6", "1E-6", "+1e-6", "1.0e-6", "0.000001"])
def test_small_numbers_are_numbers(text):
    assert yaml_files.parse(f"init: [{text}]") == {"init": [1e-6]}


@pytest.mark.parametrize("text", ["1e", "e6", "1e-6x", "'1e-6'"])
def test_what_looks_like_one_is_text(text):
    assert isinstance(yaml_files.parse(text), str)


def test_what_is_written_is_read_back():
    data = {"numbers": [1e-6, 1e22, 3], "texts": ["1e-6", "yes", "1"], "nothing": None, "ratio": Fraction(1, 4)}
    assert yaml_files.parse(yaml_files.dump(data)) == {**data, "ratio": "1/4"}
    shared = {"x": 1}
    assert "&" not in yaml_files.dump({"a": shared, "b": shared})


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("a: 1\nb: 2\na: 3\n", "line 3, column 1: the key 'a' is written twice"),
        ("a:\n  - {b: 1, c: 2, b: 3}\n", "line 2, column 18: the key 'b' is written twice"),
        ("a: [1\n", "line 2, column 1"),
        ("a: !!python/object:os.system {}\n", "line 1, column 4"),
        ("a: 2024-99-99\n", "not valid YAML: month must be"),
    ],
)
def test_faults_have_their_place(text, where):
    with pytest.raises(ResourceError, match=where):
        yaml_files.parse(text)


def test_anchors_and_merges_repeat_no_key():
    text = "base: &base {a: 1, b: 2}\nmine: {<<: *base, a: 3}\n"
    assert yaml_files.parse(text)["mine"] == {"a": 3, "b": 2}


def test_json(tmp_path):
    path = tmp_path / "mine.JSON"
    path.write_text('{"a": [1e-6]}')
    assert yaml_files.read(path) == {"a": [1e-6]}
    path.write_text('{"a": 1, "a": 2}')
    with pytest.raises(ResourceError, match="not valid JSON: the key 'a' is written twice in one mapping"):
        yaml_files.read(path)
    path.write_text("{a: 1}")
    with pytest.raises(ResourceError, match=r"not valid JSON: .*line 1 column 2"):
        yaml_files.read(path)


def test_unreadable_files(tmp_path):
    with pytest.raises(ResourceError, match="cannot read: No such file"):
        yaml_files.read(tmp_path / "none.yaml")
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(ResourceError, match=r"cannot read: .*utf-8"):
        yaml_files.read(tmp_path / "bytes.yaml")


@pytest.mark.parametrize(
    ("load", "error"), [(Genotype.load, GenotypeError), (Space.load, SpaceError), (protocol.load, ProtocolError)]
)
def test_genotypes_spaces_and_protocols_are_read_alike(tmp_path, load, error):
    path = tmp_path / "mine.yaml"
    path.write_text("name: a\nname: b\n")
    with pytest.raises(error, match=r"mine.yaml: not valid YAML: line 2, column 1: the key 'name' is written twice"):
        load(path)
