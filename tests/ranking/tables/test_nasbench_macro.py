import json

import numpy as np
import pytest
import torch
from torch import nn

from uninas.proxies.blocks import find_blocks
from uninas.proxies.zoo.counts import multiply_adds
from uninas.ranking import RankingError
from uninas.ranking.tables import locate
from uninas.ranking.tables.nasbench_macro import BENCHMARK, module, read

# What the official file says of these: parameters, and multiply-adds of an image of 32 x 32.
COUNTS = {
    "00000000": (387_882, 7_713_280),
    "22222222": (2_932_586, 105_660_928),
    "02012100": (890_666, 47_327_744),
    "11111221": (2_181_386, 65_012_224),
}
ENTRY = {"test_acc": [90.0, 91.0, 92.0], "mean_acc": 91.0, "std": 0.8, "params": 1, "flops": 2}


def write(tmp_path, data):
    path = tmp_path / "macro.json"
    path.write_text(json.dumps(data))
    return path


@pytest.mark.parametrize("arch", COUNTS)
def test_counts_of_the_official_file(arch):
    network = module(arch, 10, 0)
    assert sum(p.numel() for p in network.parameters()) == COUNTS[arch][0]
    assert multiply_adds(network.eval(), torch.zeros(1, 3, 32, 32)) == COUNTS[arch][1]


def test_the_layers_are_what_the_digits_say():
    layers = list(module("01200020", 10, 0))[3:11]
    convs = [[m for m in layer.modules() if isinstance(m, nn.Conv2d)] for layer in layers]
    assert [len(found) for found in convs] == [1, 3, 3, 0, 0, 1, 3, 0]
    assert [found[len(found) // 2].kernel_size[0] for found in convs if found] == [1, 3, 5, 1, 5]
    assert [found[len(found) // 2].stride[0] for found in convs if found] == [2, 1, 2, 2, 1]
    assert convs[1][1].groups == 3 * 64 and convs[6][1].groups == 6 * 256
    shortcut = layers[6].eval()
    for bn in (m for m in shortcut.modules() if isinstance(m, nn.BatchNorm2d)):
        bn.weight.data.zero_()
    x = torch.rand(1, 256, 4, 4)
    assert torch.equal(shortcut(x), x)  # nothing but the residual is left


def test_weights_come_from_the_seed_and_from_nothing_global():
    before = torch.get_rng_state()
    one, same, other = (module("02100000", 10, seed) for seed in (1, 1, 2))
    assert torch.equal(before, torch.get_rng_state())
    x = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    assert torch.equal(one(x), same(x)) and not torch.equal(one(x), other(x))
    assert one(x).isfinite().all() and one(x).shape == (2, 10)


def test_blocks_are_found_and_identities_are_none():
    assert len(find_blocks(module("01200020", 10, 0))) == 5


def test_reads_every_training(tmp_path):
    path = write(tmp_path, {"02012100": ENTRY, "00000000": {"test_acc": [45.0]}})
    table = read(path)
    assert table.archs == ("02012100", "00000000")
    (column,) = table.columns
    assert column.labels.tolist() == [91, 45]
    assert column.trainings[0].tolist() == [90, 91, 92] and np.isnan(column.trainings[1]).sum() == 2
    assert locate(path) == ("nasbench_macro", path)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"02012100": ENTRY, "0201210": ENTRY}, "8 digits from 0 to 2.* got '0201210'"),
        ({"02012100": ENTRY, "02012103": ENTRY}, "got '02012103'"),
        ({"02012100": ENTRY, "00000000": {"mean_acc": 90}}, "00000000: test_acc is a list .* got None"),
        ({"02012100": ENTRY, "00000000": {"test_acc": [90, "x"]}}, r"00000000, test_acc\[1\]: .* got 'x'"),
        ({"02012100": ENTRY, "00000000": {"test_acc": [190]}}, "got 190"),
        ({"02012100": {"test_acc": [0.9]}, "00000000": {"test_acc": [0.8]}}, "expected percent"),
        ({"02012100": ENTRY}, "at least 2"),
        ([1, 2], "expected a mapping"),
    ],
)
def test_bad_files(tmp_path, data, message):
    with pytest.raises(RankingError, match=message) as error:
        read(write(tmp_path, data))
    assert "macro.json" in str(error.value)


def test_unreadable_files(tmp_path):
    path = tmp_path / "macro.json"
    with pytest.raises(RankingError, match=r"macro\.json cannot be read"):
        read(path)
    path.write_text("{")
    with pytest.raises(RankingError, match="cannot be read as JSON"):
        read(path)


@pytest.mark.parametrize("arch", ["", "3" * 8, "0" * 9])
def test_bad_architectures(arch):
    for use in (BENCHMARK.key, lambda arch: module(arch, 10, 0)):
        with pytest.raises(RankingError, match="8 digits"):
            use(arch)
