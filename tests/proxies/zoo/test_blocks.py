from __future__ import annotations

import pytest

from uninas.proxies.blocks import find_blocks

from ..families import family

BLOCKS = {
    "regnet": ["Bottleneck"], "convmixer": ["Sequential"], "densenet": ["DenseBlock"],
    "vgg": ["Conv2d"], "inception": ["InceptionA", "InceptionB", "InceptionC", "InceptionD", "InceptionE"],
    "dla": ["DlaTree"], "starnet": ["Block"],
}  # fmt: skip


@pytest.mark.parametrize("name", BLOCKS)
def test_blocks_of_networks_that_are_no_stages_of_blocks(name):
    found = find_blocks(family(name))
    kinds = {type(block).__name__ for block in found} - {"InceptionAux"}  # runs in training alone
    assert len(found) >= 2 and kinds == set(BLOCKS[name])
