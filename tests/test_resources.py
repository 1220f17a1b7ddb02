"""Files that are found by name, and plain data as models."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, ConfigDict

from uninas import resources
from uninas.errors import ResourceError, SpaceError, UninasError


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")

    size: int = 1


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    inner: Inner = Inner()


def test_names_and_paths(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("{}")
    assert resources.find("spaces", path) == resources.find("spaces", str(path)) == path
    assert resources.find("spaces", "uninas").name == "uninas.yaml"
    with pytest.raises(ResourceError, match="nothing called 'uninass' in spaces; did you mean 'uninas'"):
        resources.find("spaces", "uninass")
    with pytest.raises(ResourceError, match=r"nowhere.yaml: there is no such file; a bare name finds one of: .*uninas"):
        resources.find("spaces", "nowhere.yaml")


def test_installed_data_is_found_without_a_checkout(tmp_path, monkeypatch):
    folder = tmp_path / "_data" / "spaces"
    folder.mkdir(parents=True)
    (folder / "only.yaml").write_text("{}")
    monkeypatch.setattr(resources, "CHECKOUT", tmp_path / "nowhere")
    monkeypatch.setattr(resources, "INSTALLED", tmp_path / "_data")
    assert resources.find("spaces", "only") == folder / "only.yaml"
    with pytest.raises(UninasError, match="only"):
        resources.find("spaces", "uninas")


def test_data_as_a_model():
    assert resources.parse({"name": "a", "inner": {"size": 3}}, Outer, SpaceError).inner.size == 3


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([1], "wants a mapping with name, inner; got list"),
        ({}, "^name: is missing$"),
        ({"name": "a", "iner": {}}, "^iner: unknown key; did you mean 'inner'"),
        ({"name": "a", "inner": {"siz": 3}}, "^inner.siz: unknown key; did you mean 'size'"),
        ({"name": "a", "inner": {"size": "b"}}, "^inner.size: .*valid integer.*got 'b'"),
        ({"name": 3, "inner": {"size": "b"}}, "(?s)^name: .*\ninner.size: "),
    ],
)
def test_faults_have_a_place_each(data, message):
    with pytest.raises(SpaceError, match=message):
        resources.parse(data, Outer, SpaceError)
