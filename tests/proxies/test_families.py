"""Every proxy on networks of many timm families: a value or a true reason, and the network as it was.

The short version takes a few families on which proxies have stumbled; the long one all of them.
"""

from __future__ import annotations

import math

import pytest
import torch

from uninas import proxies
from uninas.proxies import PROXIES

from .families import SMALL, family
from .test_contract import same, snapshot

SHORT = ("resnet", "vit", "convmixer", "xcit")
REASONS = {
    # The last norm of a branch starts at zero: such a block is the identity.
    ("levit", "trainability"): "identity block",
    ("mobilevit", "trainability"): "identity block",
    # Their last blocks hand on other tokens than the blocks before: the class token alone, or with it.
    ("xcit", "trainability"): "no blocks",
    ("cait", "trainability"): "no blocks",
    # Its classifier starts at zero: the logits ignore the image and all weights before.
    **dict.fromkeys([("mixer", name) for name in ("vkdnw", "vkdnw_single", "vkdnw_sampled")], "zero fisher"),
    ("mixer", "jacov"): "not finite",
    # Torch has no second derivative of hardsigmoid.
    ("ghostnet", "grasp"): "not differentiable",
}
"""What has no value, and why; everything else has one."""
# Its activations grow to 1e8: single precision agrees with itself on some processors only; in double it has values.
MAYBE = dict.fromkeys([("inception", name) for name in ("vkdnw", "vkdnw_single", "vkdnw_sampled")], "samples mixed")
BATCH = 40


def check(name: str) -> None:
    net, side = family(name), SMALL[name][1]
    x = torch.randn(BATCH, 3, side, side, generator=torch.Generator().manual_seed(0))
    next(net.children()).eval()
    first = next(net.parameters())
    first.grad = torch.ones_like(first)
    before, rng = snapshot(net), torch.get_rng_state()
    found = proxies.score(net, [p for p in PROXIES if p != "vkdnw_published"], x)
    assert same(before, snapshot(net))
    assert torch.equal(rng, torch.get_rng_state())
    failures = {proxy: score.failure for proxy, score in found.items() if score.failure}
    expected = {proxy: reason for (of, proxy), reason in REASONS.items() if of == name}
    reasons = {proxy: text.partition(":")[0] for proxy, text in failures.items()}
    known = {proxy: reason for proxy, reason in reasons.items() if MAYBE.get((name, proxy)) != reason}
    assert known == expected, failures
    for proxy, score in found.items():
        assert proxy in failures or (score.value is not None and math.isfinite(score.value))
    with torch.no_grad():
        net.eval()(x[:2])  # still runs


@pytest.mark.parametrize("name", SHORT)
def test_a_value_or_a_true_reason(name):
    check(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in SMALL if name not in SHORT])
def test_a_value_or_a_true_reason_on_all(name):
    check(name)
