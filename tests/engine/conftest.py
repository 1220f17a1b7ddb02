"""Small networks and data sets that the engine's tests share."""

from pathlib import Path

import pytest

import uninas
from uninas import Genotype
from uninas.toydata import make


@pytest.fixture(scope="session")
def genotype() -> Genotype:
    """Convolutions, then attention; 0.1 M parameters."""
    return uninas.blocks.network("coatnet", widths=(8, 16, 32, 32), depths=(1, 1, 1, 1))


@pytest.fixture(scope="session")
def other_genotype() -> Genotype:
    """Of other shapes than `genotype`."""
    return uninas.blocks.network("resnet", widths=(8, 12, 16, 24), depths=(1, 1, 1, 1))


@pytest.fixture(scope="session")
def folders(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("data") / "folders"
    make("tiny-imagenet", root, train=32, val=16)
    return root


@pytest.fixture(scope="session")
def coco(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("data") / "coco"
    make("tiny-coco", root, train=12, val=12)
    return root


@pytest.fixture(scope="session")
def ade(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("data") / "ade"
    make("tiny-ade", root, train=8, val=4)
    return root
