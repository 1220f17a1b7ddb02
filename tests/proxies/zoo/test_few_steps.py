"""Memorization and generalization against their definitions, trained by torch.optim; and what their images are."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uninas.proxies import ProxyFailure, few_steps
from uninas.proxies.patterns import KINDS, Patterns, fields

from ..nets import CLASSES, LABELS, gated, images, value


@pytest.mark.parametrize("labels", [LABELS, None])
def test_memorization(labels):
    x, module = images(), gated()
    expected, optimizer = [], torch.optim.Adam(module.parameters(), lr=5e-3)
    known = torch.randint(CLASSES, (len(x),), generator=torch.Generator().manual_seed(0)) if labels is None else labels
    for _ in range(4):
        loss = F.cross_entropy(module(x), known)
        expected.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    options = {} if labels is None else {"labels": labels}
    assert value("memorization", x, gated(), **options) == pytest.approx(-sum(expected[1:]) / 3, rel=1e-5)


def test_larger_networks_take_smaller_steps(monkeypatch):
    assert few_steps.rate_for(1) == few_steps.rate_for(1_200_000) == 5e-3
    assert few_steps.rate_for(8 * 1_200_000) == pytest.approx(5e-3 / 4)
    module = gated()
    monkeypatch.setattr(few_steps, "SMALL", sum(weight.numel() for weight in module.parameters()) / 8)
    optimizer = torch.optim.Adam(module.parameters(), lr=5e-3 / 4)
    losses = []
    for _ in range(4):
        loss = F.cross_entropy(module(images()), LABELS)
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert value("memorization", images(), gated(), labels=LABELS) == pytest.approx(-sum(losses[1:]) / 3, rel=1e-5)


@pytest.mark.parametrize("name", ["memorization", "generalization"])
def test_what_diverges_is_a_failure(name):
    class Explodes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(3, CLASSES))

        def forward(self, x: Tensor) -> Tensor:
            return x.mean((2, 3)) @ self.weight + (1e30 * (self.weight - 1).sum()) ** 2

    with pytest.raises(ProxyFailure, match="not finite: the logits are not finite behind step 1 of training"):
        value(name, images(), Explodes())


@pytest.mark.parametrize("classes", [2, CLASSES, KINDS, 30])
def test_generalization(classes):
    x, module = images(), gated(classes=classes)
    patterns = Patterns(3, 8, 8, torch.Generator().manual_seed(0))
    losses, optimizer = [], torch.optim.Adam(module.parameters(), lr=5e-3)
    for _ in range(4):
        drawn, kinds = patterns.draw(len(x))
        loss = F.cross_entropy(module(drawn), kinds % classes)
        losses.append(min(loss.item(), 1.1 * math.log(classes)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    expected = -sum(losses[1:]) / 3
    assert value("generalization", x, gated(classes=classes)) == pytest.approx(expected, rel=1e-5)
    assert value("generalization", torch.zeros_like(x), gated(classes=classes)) == value(
        "generalization", x, gated(classes=classes)
    )


def test_who_is_confidently_wrong_is_no_worse_than_who_is_wrong():
    class Stubborn(nn.Module):
        def __init__(self, certainty: float) -> None:
            super().__init__()
            self.weight, self.certainty = nn.Parameter(torch.ones(1)), certainty

        def forward(self, x: Tensor) -> Tensor:
            logits = torch.zeros(len(x), KINDS)
            logits[:, 0] = self.certainty
            return logits + 0 * self.weight

    assert value("generalization", images(), Stubborn(9.0)) == pytest.approx(-1.1 * math.log(KINDS))
    assert value("generalization", images(), Stubborn(0.0)) == pytest.approx(-math.log(KINDS))


def test_a_network_that_learns_is_above_one_that_sees_nothing():
    class Blind(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = gated(classes=KINDS, size=16)

        def forward(self, x: Tensor) -> Tensor:
            return self.net(torch.zeros_like(x))

    x = torch.zeros(64, 3, 16, 16)
    for seed in range(3):
        seeing, blind = (
            value("generalization", x, module, seed) for module in (gated(classes=KINDS, size=16), Blind())
        )
        assert seeing > blind + 0.1


def test_generalization_of_what_are_no_images_is_a_failure():
    module = nn.Sequential(nn.Flatten(), nn.Linear(24, CLASSES))
    with pytest.raises(ProxyFailure, match="cannot run: generalization draws images, but the input has 3 dimensions"):
        value("generalization", torch.zeros(4, 3, 8), module)


def test_patterns_are_fresh_and_follow_from_the_generator():
    first, again, other = (Patterns(3, 12, 20, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    drawn, kinds = first.draw(50)
    assert drawn.shape == (50, 3, 12, 20) and kinds.shape == (50,)
    assert drawn.std().item() == pytest.approx(1) and kinds.min() >= 0 and kinds.max() == KINDS - 1
    assert all(torch.equal(a, b) for a, b in zip((drawn, kinds), again.draw(50), strict=True))
    assert not torch.equal(first.draw(50)[0], drawn) and not torch.equal(other.draw(50)[0], drawn)
    assert not any(torch.equal(drawn[i], drawn[j]) for i in range(50) for j in range(i))


def test_a_pattern_is_found_in_images_of_its_kind_and_in_no_others():
    patterns = Patterns(3, 16, 16, torch.Generator().manual_seed(0))
    drawn, kinds = patterns.draw(60)
    spectra = torch.fft.fft2(drawn)[:, None] * torch.fft.fft2(patterns.templates).conj()
    likeness = torch.fft.ifft2(spectra).real.sum(2).amax((-2, -1))  # best over all shifts
    assert (likeness.argmax(1) == kinds).double().mean() > 0.9


def test_low_frequencies_are_stronger_the_more_the_spectrum_falls():
    def low(fall: float) -> float:
        found = fields((200, 32, 32), fall, torch.Generator().manual_seed(0))
        assert found.mean((-2, -1)).abs().max() < 1e-5
        assert torch.allclose(found.square().mean((-2, -1)), torch.ones(200), atol=1e-4)
        power = torch.fft.fft2(found).abs().square().mean(0)
        return float(power[:3, :3].sum() / power.sum())

    assert low(0.0) < low(1.0) < low(2.0)


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (3, 2)])
def test_small_images_are_finite(shape):
    patterns = Patterns(2, *shape, torch.Generator().manual_seed(0))
    assert patterns.draw(5)[0].isfinite().all()
