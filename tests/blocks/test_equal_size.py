"""Known networks brought to a given cost by their widths and depths alone."""

import pytest

from uninas.blocks.equal_size import of_equal_size
from uninas.blocks.networks import network
from uninas.errors import GenotypeError
from uninas.genotype import cost
from uninas.search import Space

PARAMS, MACS = (570_000, 600_000), (19_000_000, 20_000_000)


@pytest.mark.parametrize("name", ["resnet", "coatnet"])
def test_costs_what_was_asked_for_and_has_the_same_blocks(name):
    like = Space.load("uninas_tiny").start(name)
    found = of_equal_size(name, like, PARAMS, MACS, input_size=32, num_classes=10)
    counted = cost(found, 32, 10)
    assert PARAMS[0] <= counted.params <= PARAMS[1] and MACS[0] <= counted.macs <= MACS[1]
    assert found.stem == like.stem and len(found.stages) == len(like.stages)
    widths, depths = [stage.width for stage in found.stages], [len(stage.blocks) for stage in found.stages]
    assert all(width % 16 == 0 for width in widths)
    assert found == network(name, widths=widths, depths=depths, stem=like.stem, input_size=32)


def test_what_fits_already_stays_as_it_is():
    like = Space.load("uninas_tiny").start("resnet")
    own = cost(like, 32, 10)
    found = of_equal_size("resnet", like, (own.params, own.params), (own.macs, own.macs), 32, 10)
    assert found.key == like.key


def test_says_what_comes_nearest():
    like = Space.load("uninas_tiny").start("resnet")
    with pytest.raises(GenotypeError, match=r"100.00K to 110.00K parameters and 1.00G .*; the nearest has \d"):
        of_equal_size("resnet", like, (100_000, 110_000), (10**9, 10**9 + 1), 32, 10)
