"""Studies of a search on made-up scores, which takes a second."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import yaml
from search.conftest import tiny_space
from search.fakes import HashScorer

import uninas
from uninas.search import SearchConfig, Space, search

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "benchmarks"))  # chromium

PROXIES = "logrank(naswot, synflow, params)"


def make_study(folder: Path, **changes) -> Path:
    """A finished study in `folder`."""
    space = folder.parent / "tiny.yaml"
    if not space.exists():
        space.write_text(yaml.safe_dump(tiny_space()))
    settings = {
        "out": folder,
        "space": str(space),
        "strategy": "walk",
        "strategy_settings": {"scouts": 4, "strides": [1, 2]},
        "iterations": 40,
        "generation": 4,
        "max_params": 400_000,
        "proxy": PROXIES,
        "proxy_size": 32,
        "fresh_repeats": 3,
        "leader_repeats": 2,
        "leaders": 3,
        "max_repeats": 4,
        "workers": 1,
        "tidy": False,
    }
    search(SearchConfig.parse({**settings, **changes}), scorer=HashScorer(failing=0.1))
    return folder


@pytest.fixture(scope="session")
def study(tmp_path_factory) -> Path:
    return make_study(tmp_path_factory.mktemp("studies") / "walk")


@pytest.fixture(scope="session")
def evolved(study) -> Path:
    """Another study beside the first: other strategy and seed, the same metrics."""
    return make_study(study.parent / "evolved", strategy="evolution", strategy_settings={}, seed=1)


@pytest.fixture(scope="session")
def space() -> Space:
    return Space.from_dict(tiny_space())


@pytest.fixture(scope="session")
def networks(space) -> list[uninas.Genotype]:
    """Known networks, and some from scratch."""
    from random import Random

    limits = space.limits
    known = [uninas.blocks.network(name) for name in uninas.blocks.NETWORKS]
    return known + [space.sample(Random(seed), limits) for seed in range(12)]
