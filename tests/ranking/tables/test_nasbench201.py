import random

import pytest
import torch

import uninas
from uninas.ranking import RankingError
from uninas.ranking.tables.nasbench201 import cell_graph, is_complete, module, nasbench201

from .official import OPS, Official, all_archs, arch_string, copy_weights

HEAVIEST = arch_string(["nor_conv_3x3"] * 6)
LIGHTEST = arch_string(["none", "none", "none", "skip_connect", "none", "none"])
EMPTY = arch_string(["none"] * 6)


@pytest.fixture(scope="module")
def complete() -> list[str]:
    return [arch for arch in all_archs() if is_complete(arch)]


def count(network: torch.nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_published_number_of_complete_architectures(complete):
    assert len(complete) == 9445


def test_parameters_equal_a_direct_construction(complete):
    found = {}
    for arch in random.Random(0).sample([arch for arch in complete if arch != EMPTY], 300):
        convs = arch.count("nor_conv_1x1"), arch.count("nor_conv_3x3")
        if convs not in found:
            with torch.device("meta"):
                found[convs] = count(Official(arch))
        assert uninas.cost(nasbench201(arch), 32, 10).params == found[convs], arch
    assert len(found) > 15
    for arch in (HEAVIEST, LIGHTEST):
        assert count(uninas.build(nasbench201(arch), 10)) == count(Official(arch))


def test_range_of_parameters():
    assert uninas.cost(nasbench201(LIGHTEST), 32, 10).params == 73_306
    assert uninas.cost(nasbench201(HEAVIEST), 32, 10).params == 1_531_546


@pytest.mark.parametrize(
    ("arch", "num_classes", "size", "params", "mflops"),
    [  # from NATS-Bench's files of architectures 0, 11 and 284; they count the classifier's bias among the FLOPs
        ("|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|",
         10, 32, 0.129306, 15.64737),
        ("|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|none~0|nor_conv_3x3~1|avg_pool_3x3~2|",
         100, 32, 0.808276, 113.95722),
        ("|skip_connect~0|+|skip_connect~0|skip_connect~1|+|none~0|nor_conv_1x1~1|none~2|",
         120, 16, 0.108456, 2.93644),
    ],
)  # fmt: skip
def test_costs_of_the_official_files(arch, num_classes, size, params, mflops):
    cost = uninas.cost(nasbench201(arch), size, num_classes)
    assert cost.params == round(params * 1e6)
    assert cost.macs + num_classes == round(mflops * 1e6)


@pytest.mark.parametrize(
    "arch",
    [
        HEAVIEST,
        LIGHTEST,
        "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|skip_connect~2|",
        "|avg_pool_3x3~0|+|skip_connect~0|skip_connect~1|+|nor_conv_1x1~0|nor_conv_3x3~1|avg_pool_3x3~2|",
        "|skip_connect~0|+|skip_connect~0|skip_connect~1|+|skip_connect~0|skip_connect~1|nor_conv_1x1~2|",
        # dead ends: node 2 leads nowhere; node 1 is never reached
        "|nor_conv_1x1~0|+|nor_conv_3x3~0|nor_conv_1x1~1|+|none~0|nor_conv_3x3~1|none~2|",
        "|none~0|+|nor_conv_1x1~0|nor_conv_3x3~1|+|none~0|nor_conv_1x1~1|skip_connect~2|",
    ],
)
@pytest.mark.parametrize("train", [True, False])
def test_same_numbers_as_a_direct_construction(arch, train):
    torch.manual_seed(0)
    official = Official(arch).double()
    x = torch.randn(2, 3, 16, 16, dtype=torch.float64)
    official(x)  # moves the running statistics away from their start
    ours = uninas.build(nasbench201(arch), 10).double()
    copy_weights(official, ours)
    torch.testing.assert_close(ours.train(train)(x), official.train(train)(x), rtol=1e-9, atol=1e-9)


def test_all_but_the_unreachable_outputs_have_a_network():
    failed = 0
    for arch in random.Random(1).sample(all_archs(), 1500):
        try:
            assert cell_graph(arch).infer(16)
        except RankingError as error:
            failed += 1
            assert "nothing reaches the output" in str(error)
    assert 15 < failed < 60  # 341 of 15,625


@pytest.mark.parametrize(
    ("one", "other"),
    [
        # the middle nodes change places
        (["nor_conv_3x3", "avg_pool_3x3", "none", "none", "nor_conv_1x1", "skip_connect"],
         ["avg_pool_3x3", "nor_conv_3x3", "none", "none", "skip_connect", "nor_conv_1x1"]),
        # a skip is no node, and sums are flat
        (["nor_conv_3x3", "none", "skip_connect", "none", "none", "nor_conv_1x1"],
         ["nor_conv_3x3", "none", "none", "none", "nor_conv_1x1", "none"]),
        (["nor_conv_3x3", "nor_conv_1x1", "none", "none", "skip_connect", "skip_connect"],
         ["nor_conv_3x3", "nor_conv_1x1", "skip_connect", "none", "none", "skip_connect"]),
        # what leads nowhere
        (["nor_conv_3x3", "none", "nor_conv_1x1", "none", "skip_connect", "none"],
         ["nor_conv_3x3", "none", "none", "none", "skip_connect", "none"]),
        (["none", "nor_conv_3x3", "avg_pool_3x3", "none", "none", "skip_connect"],
         ["none", "nor_conv_3x3", "none", "none", "none", "skip_connect"]),
    ],
)  # fmt: skip
def test_same_network_same_key(one, other):
    assert nasbench201(arch_string(one)).key == nasbench201(arch_string(other)).key


def test_same_key_same_rounding():
    """Two ways to write one network, whose sums come in another order."""
    pair = [
        "|nor_conv_1x1~0|+|nor_conv_1x1~0|avg_pool_3x3~1|+|nor_conv_3x3~0|nor_conv_1x1~1|skip_connect~2|",
        "|nor_conv_1x1~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|nor_conv_1x1~0|nor_conv_1x1~1|skip_connect~2|",
    ]
    x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    one, other = (uninas.build(nasbench201(arch), 10, seed=1).eval()(x) for arch in pair)
    assert nasbench201(pair[0]) == nasbench201(pair[1])
    assert torch.equal(one, other)


def test_other_network_other_key():
    shared = ["nor_conv_3x3", "none", "nor_conv_1x1", "none", "nor_conv_1x1", "skip_connect"]
    doubled = ["nor_conv_3x3", "nor_conv_3x3", "none", "none", "nor_conv_1x1", "nor_conv_1x1"]
    assert nasbench201(arch_string(shared)) != nasbench201(arch_string(doubled))
    keys = {cell_graph(arch_string([*["none"] * 3, op, "none", "none"])).key for op in OPS[1:]}
    assert len(keys) == 4


def test_isomorphic_architectures_are_one_key(complete):
    chosen = [arch for arch in complete if arch != EMPTY][::10]
    assert len({cell_graph(arch).key for arch in chosen}) < 0.95 * len(chosen)


def test_is_a_genotype_like_any_other(tmp_path):
    genotype = nasbench201(HEAVIEST, num_classes=100)
    assert genotype.name == HEAVIEST
    genotype.save(tmp_path / "g.yaml")
    assert uninas.Genotype.load(tmp_path / "g.yaml") == genotype
    network = uninas.build(genotype, 100)
    assert network(torch.randn(2, 3, 16, 16)).shape == (2, 100)


@pytest.mark.parametrize(
    ("arch", "message"),
    [
        (EMPTY, "nothing reaches the output"),
        (arch_string(["nor_conv_3x3", "none", "skip_connect", "none", "none", "none"]), "nothing reaches the output"),
        ("", "describes 1 nodes"),
        (None, "is a string"),
        ("|none~0|+|none~0|none~1|", "describes 2 nodes"),
        ("|none~0|+|none~0|+|none~0|none~1|none~2|", "node 2 of"),
        ("|none~0|+|none~0|none~0|+|none~0|none~1|none~2|", "comes from 1, got 'none~0'"),
        (HEAVIEST.replace("nor_conv_3x3~2", "conv3~2"), "there is no 'conv3'"),
    ],
)
def test_errors(arch, message):
    with pytest.raises(RankingError, match=message):
        nasbench201(arch)


def test_num_classes_is_checked():
    with pytest.raises(uninas.GenotypeError, match="num_classes"):
        nasbench201(HEAVIEST, num_classes=0)


def test_the_module_is_the_compiled_network():
    """Its weights are those of `uninas.build` with the same seed."""
    found, expected = module(LIGHTEST, 7, 3), uninas.build(nasbench201(LIGHTEST), 7, seed=3)
    x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(found.eval()(x), expected.eval()(x))
    assert found(x).shape == (2, 7)
