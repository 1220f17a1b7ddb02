"""NEAR, SWAP, InTrain, L-SWAG and MeCo against their definitions, computed in the slow and obvious way."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uninas.proxies import ProxyFailure
from uninas.proxies.zoo.swap import pattern_codes

from ..nets import CLASSES, LABELS, gated, images, value


def features(x: Tensor) -> list[np.ndarray]:
    """The inputs and outputs of both gates, B x C x H x W."""
    layers, found = list(gated(nn.ReLU())), []
    with torch.no_grad():
        for layer in layers[:4]:
            x = layer(x)
            found.append(x.double().numpy())
    return found


def as_matrix(feature: np.ndarray) -> np.ndarray:
    return np.moveaxis(feature, 1, -1).reshape(-1, feature.shape[1])


def test_near():
    expected = 0.0
    for feature in features(images()):
        s = np.linalg.svd(as_matrix(feature), compute_uv=False)
        shares = s / s.sum()
        expected += math.exp(-(shares * np.log(shares)).sum())
    assert value("near", images()) == pytest.approx(expected, rel=1e-6)


def test_near_of_features_of_rank_one_counts_one_each():
    module = nn.Sequential(nn.Flatten(), nn.Linear(192, 20), nn.ReLU(), nn.Linear(20, CLASSES))
    with torch.no_grad():
        module[1].weight.copy_(torch.ones(20, 1) * torch.randn(1, 192))
        module[1].bias.zero_()
    assert value("near", images(), module) == pytest.approx(2, abs=1e-3)


def test_swap():
    patterns = set()
    for before in (features(images())[0], features(images())[2]):
        patterns |= {tuple(column) for column in (before.reshape(len(before), -1) > 0).T}
    assert value("swap", images()) == len(patterns)


def test_swap_of_equal_images_is_of_two_patterns():
    assert value("swap", images(1).expand(5, -1, -1, -1)) == 2


@pytest.mark.parametrize("batch", [1, 62, 63, 130])
def test_patterns_of_any_number_of_images(batch):
    signs = torch.rand(batch, 40, generator=torch.Generator().manual_seed(0)) > 0.5
    signs[:, 20:] = signs[:, :20]
    signs[-1, 20] = ~signs[-1, 20]  # the last image tells it apart
    expected = len({tuple(column) for column in signs.T.tolist()})
    assert len(pattern_codes(signs).unique(dim=0)) == expected


def test_swap_regularised():
    thousands = sum(p.numel() for p in gated().parameters()) / 1e3
    expected = math.log(value("swap", images())) - (thousands - 1000) ** 2 / 1e6
    assert value("swap_regularised", images()) == pytest.approx(expected, rel=1e-12)


def gradients(x: Tensor, labels: Tensor) -> list[np.ndarray]:
    module = gated()
    weights = [module[i].weight for i in (0, 2, 5)]
    found = torch.autograd.grad(F.cross_entropy(module(x), labels), weights)
    return [g.double().numpy().ravel() for g in found]


def test_lswag():
    parts = zip(images(8).split(2), torch.cat([LABELS, LABELS[:2]]).split(2))
    by_layer = zip(*(gradients(x, labels) for x, labels in parts))
    expected = sum(math.log((1 / np.abs(np.stack(g)).std(0)).sum()) for g in by_layer)
    labels = torch.cat([LABELS, LABELS[:2]])
    assert value("lswag_gradients", images(8), labels=labels) == pytest.approx(expected, rel=1e-3)
    assert value("lswag", images(8), labels=labels) == pytest.approx(expected * value("swap", images(8)), rel=1e-3)
    with pytest.raises(ProxyFailure, match="too few samples"):
        value("lswag", images(1))
    with pytest.raises(ProxyFailure, match="zero gradients"):
        value("lswag_gradients", images(1).expand(4, -1, -1, -1), labels=torch.zeros(4, dtype=torch.long))


def layer_outputs(x: Tensor) -> list[np.ndarray]:
    module = gated(nn.ReLU()).eval()
    with torch.no_grad():
        logits = module(x).double().numpy()
    return [as_matrix(f) for f in features(x)[::2]] + [logits]


def test_intrain():
    gamma = 0.0
    for rows in layer_outputs(images()):
        spectrum = np.linalg.eigvalsh(np.cov(rows.T))
        gamma += math.log(spectrum.sum() ** 2 / (spectrum**2).sum())
    health = sum(min(1, g.std() / np.abs(g).max()) for g in gradients(images(), LABELS))
    expected = gamma * (1 + health) / math.log(3 + 1)
    assert value("intrain", images(), labels=LABELS) == pytest.approx(expected, rel=1e-4)


def test_intrain_leaves_constant_layers_out():
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3), nn.Flatten(), nn.Linear(64, CLASSES))
    with torch.no_grad():
        module[1].weight.zero_()
    assert math.isfinite(value("intrain", images(), module))
    with torch.no_grad():
        module[0].weight.zero_()
    with pytest.raises(ProxyFailure, match="zero features"):
        value("intrain", images(), module)


def test_meco():
    expected = sum(np.linalg.eigvalsh(np.corrcoef(as_matrix(f).T))[0] for f in features(images(1))[::2])
    assert value("meco", images()) == pytest.approx(expected, rel=1e-6)
    assert value("meco", images()) == value("meco", images(1))


def test_meco_of_few_channels_is_meco_and_of_many_is_weighted():
    assert value("meco_opt", images()) == pytest.approx(value("meco", images()), rel=1e-9)
    wide = nn.Sequential(nn.Conv2d(3, 64, 3), nn.Flatten(), nn.Linear(64 * 36, CLASSES))
    drawn = torch.randperm(64, generator=torch.Generator().manual_seed(0))[:8]
    rows = as_matrix(wide[0](images(1)).detach().double().numpy())[:, drawn]
    expected = np.linalg.eigvalsh(np.corrcoef(rows.T))[0] * 64 / 8
    assert value("meco_opt", images(), wide) == pytest.approx(expected, rel=1e-5, abs=1e-9)


def test_constant_channels_are_correlated_with_nothing():
    module = nn.Sequential(nn.Conv2d(3, 2, 3), nn.Flatten(), nn.Linear(72, CLASSES))
    with torch.no_grad():
        module[0].weight[0].zero_()
    assert value("meco", images(), module) == 0


@pytest.mark.parametrize("name", ["near", "swap", "swap_regularised", "lswag"])
def test_without_gates(name):
    linear = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(144, CLASSES))
    with pytest.raises(ProxyFailure, match="no gates"):
        value(name, images(), linear)


@pytest.mark.parametrize("name", ["meco", "meco_opt", "intrain"])
def test_without_layers(name):
    class Free(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(192, CLASSES))

        def forward(self, x: Tensor) -> Tensor:
            return x.flatten(1) @ self.weight

    with pytest.raises(ProxyFailure, match="no parameters"):
        value(name, images(), Free())
