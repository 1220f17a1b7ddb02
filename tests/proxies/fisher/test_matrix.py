from __future__ import annotations

import pytest
import torch
from torch import nn

from uninas.proxies.fisher.vkdnw import jackknife_error, vkdnw

from ..nets import images, make


def many_classes(classes: int = 60) -> nn.Module:
    net = make("convolutional")
    net[-1] = nn.Linear(8, classes)
    with torch.no_grad():
        net[-1].weight.copy_(torch.randn(classes, 8, generator=torch.Generator().manual_seed(3)))
        net[-1].bias.zero_()
    return net


@pytest.mark.parametrize("form", ["theory", "published"])
@pytest.mark.parametrize("chunk", [1, 4, 5])
def test_working_on_few_samples_at_a_time_gives_the_same(form, chunk):
    whole, parts = (vkdnw(make("hybrid"), images(8), fisher=form, sample_chunk=c) for c in (None, chunk))
    assert (whole.fisher - parts.fisher).norm() <= 1e-5 * whole.fisher.norm()


@pytest.mark.parametrize("form", ["theory", "published"])
def test_probes_are_unbiased(form):
    x = images(8)
    exact = vkdnw(many_classes(), x, fisher=form)
    draws = [
        vkdnw(many_classes(), x, fisher=form, probes=20, generator=torch.Generator().manual_seed(s)).fisher
        for s in range(40)
    ]
    errors = [float((d - exact.fisher).norm() / exact.fisher.norm()) for d in draws]
    mean = torch.stack(draws).mean(0)
    assert float((mean - exact.fisher).norm() / exact.fisher.norm()) < 0.3 * sum(errors) / len(errors)


def test_sampled_score_is_near_and_knows_its_error():
    x = images(16)
    exact = vkdnw(many_classes(), x).score
    found = [vkdnw(many_classes(), x, probes=24, generator=torch.Generator().manual_seed(s)) for s in range(12)]
    scores = torch.tensor([f.score for f in found])
    errors = torch.tensor([f.standard_error for f in found])
    assert abs(float(scores.mean()) - exact) < 0.1
    assert 0.4 < float(errors.mean() / scores.std()) < 2.5


def test_sample_chunks_have_probes_of_their_own():
    net, x = many_classes(), images(8)
    one = vkdnw(net, x, probes=10)
    two = vkdnw(net, x, probes=10, sample_chunk=2)
    assert (one.fisher - two.fisher).norm() <= 1e-5 * one.fisher.norm()


def test_as_many_probes_as_classes_are_exact():
    exact, sampled = vkdnw(make("hybrid"), images(8)), vkdnw(make("hybrid"), images(8), probes=3)
    assert torch.equal(exact.fisher, sampled.fisher) and sampled.standard_error == exact.standard_error == 0


def test_jackknife_of_equal_estimates_is_zero():
    matrix = torch.diag(torch.arange(1, 21, dtype=torch.float64))
    assert jackknife_error(matrix.expand(8, -1, -1)) == pytest.approx(0, abs=1e-12)
