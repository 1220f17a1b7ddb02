import pytest
import timm
import torch
from torch import nn

import uninas
from uninas.proxies import ProxyFailure
from uninas.ranking.depth import depth

X = torch.zeros(3, 3, 32, 32)
TINY = {"widths": (8, 8, 16, 16), "depths": (1, 1, 1, 1)}


class Branches(nn.Module):
    """A long branch and a short one, each with work that is no layer."""

    def __init__(self):
        super().__init__()
        self.long = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 3, 1))
        self.short = nn.Conv2d(3, 3, 1)
        self.head = nn.Linear(3, 2)

    def forward(self, x):
        return self.head((self.long(x) + self.short(x) + x).mean((2, 3)))


def test_the_longest_path():
    assert depth(Branches(), X) == 3


def test_layers_on_lists_of_vectors_count_and_products_of_activations_do_not():
    # Patch embedding; in each block qkv, projection and two of the MLP; head.
    assert depth(timm.create_model("vit_tiny_patch16_224", depth=2, img_size=32), X) == 1 + 2 * 4 + 1


def test_published_depths():
    assert depth(timm.create_model("resnet18"), X) == 18
    assert depth(timm.create_model("resnet50"), X) == 50


@pytest.mark.parametrize("passes", [(), uninas.compiler.PASSES])
def test_compiled_networks_are_as_deep_however_they_are_rewritten(passes):
    found = {
        name: depth(uninas.build(uninas.blocks.network(name, **TINY), 4, passes=passes), X)
        for name in ("vit", "resnet")
    }
    assert found == {"vit": 23, "resnet": 15}


def test_the_network_is_as_before():
    net = Branches().train()
    net.long[1].eval()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    depth(net, X)
    assert net.training and not net.long[1].training and net.head.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    assert all(p.grad is None for p in net.parameters())


def test_failures():
    with pytest.raises(ProxyFailure, match="cannot run"):
        depth(nn.Sequential(nn.Conv2d(5, 3, 1)), X)
    with pytest.raises(ProxyFailure, match="nothing that takes gradients"):
        depth(Branches().requires_grad_(False), X)
