"""Small networks and a space around them, and made-up scores, so that these tests take seconds."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml

import uninas
from uninas import resources
from uninas.search import SearchConfig, Space

WIDTHS, DEPTHS = [16, 16, 32, 32], [1, 1, 1, 1]


def tiny_space(**changes) -> dict:
    """The space `uninas` with narrow, shallow starts, as plain data."""
    data = yaml.safe_load(resources.find("spaces", "uninas").read_text())
    starts = {name: {"network": name, "widths": WIDTHS, "depths": DEPTHS} for name in data["starts"]}
    limits = {**data["limits"], "min_width": 16, "width_multiple": 16, "max_width": 64}
    return {**data, "name": "tiny", "starts": starts, "limits": limits, **changes}


def tiny_network(name: str) -> uninas.Genotype:
    return uninas.blocks.network(name, widths=WIDTHS, depths=DEPTHS)


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def space() -> Space:
    return Space.from_dict(tiny_space())


@pytest.fixture(scope="session")
def coatnet() -> uninas.Genotype:
    return tiny_network("coatnet")


@pytest.fixture(scope="session")
def space_file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("space") / "tiny.yaml"
    path.write_text(yaml.safe_dump(tiny_space()))
    return path


@pytest.fixture
def config(space_file, tmp_path):
    """Makes a SearchConfig of a search that takes seconds."""

    def make(**changes) -> SearchConfig:
        settings = {
            "out": tmp_path / "run",
            "space": str(space_file),
            "start": "coatnet",
            "strategy": "walk",
            "strategy_settings": {"strides": [1, 2], "scouts": 2} if changes.get("strategy", "walk") == "walk" else {},
            "iterations": 6,
            "generation": 3,
            "proxy": "naswot",
            "proxy_size": 32,
            "proxy_batch": 4,
            "fresh_repeats": 2,
            "leader_repeats": 2,
            "leaders": 2,
            "max_repeats": 2,
            "workers": 1,
            "tidy": False,
        }
        return SearchConfig.parse({**settings, **changes})

    return make
