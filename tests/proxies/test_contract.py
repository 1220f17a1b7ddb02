"""What holds for every proxy."""

from __future__ import annotations

import json
import math
import pickle
import subprocess
import sys

import pytest
import timm
import torch
from torch import nn

from uninas import proxies
from uninas.errors import ProxyError
from uninas.proxies import PROXIES, ProxyFailure

from .nets import CLASSES, images

RUNS_THE_NETWORK = [name for name in PROXIES if name not in ("params", "trainable_layers", "vkdnw_single")]


def resnet() -> nn.Module:
    torch.manual_seed(0)
    return timm.create_model("test_resnet", num_classes=CLASSES)


def vit() -> nn.Module:
    torch.manual_seed(0)
    return timm.create_model("test_vit", num_classes=CLASSES, img_size=32)


def snapshot(net: nn.Module) -> dict:
    """Everything about a network that a proxy must hand back."""
    return {
        "state": {name: (value.data_ptr(), value.clone()) for name, value in net.state_dict().items()},
        "modes": [m.training for m in net.modules()],
        "requires_grad": [p.requires_grad for p in net.parameters()],
        "grads": [p.grad for p in net.parameters()],
        "attributes": [sorted(m.__dict__) for m in net.modules()],
        "hooks": [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in net.modules()],
    }


def same(a: dict, b: dict) -> bool:
    states = zip(a["state"].values(), b["state"].values(), strict=True)
    return (
        all(p == q and v.dtype == w.dtype and torch.equal(v, w) for (p, v), (q, w) in states)
        and all(g is h for g, h in zip(a["grads"], b["grads"], strict=True))
        and all(a[key] == b[key] for key in ("modes", "requires_grad", "attributes", "hooks"))
    )


@pytest.fixture(autouse=True)
def no_change_of_global_state():
    torch.manual_seed(0)
    before = torch.get_rng_state(), torch.is_grad_enabled(), torch.backends.mha.get_fastpath_enabled()
    yield
    after = torch.get_rng_state(), torch.is_grad_enabled(), torch.backends.mha.get_fastpath_enabled()
    assert before[1:] == after[1:]


@pytest.mark.parametrize("build", [resnet, vit])
@pytest.mark.parametrize("name", PROXIES)
def test_a_proxy_has_a_value_and_hands_everything_back(name, build):
    net = build()
    first = next(net.parameters())
    first.grad = torch.ones_like(first)
    first.requires_grad_(False)
    next(net.children()).eval()
    x, before, rng = images(32, 32), snapshot(net), torch.get_rng_state()
    with torch.no_grad():
        value = proxies.get(name)(net, x)
    assert math.isfinite(value)
    assert same(before, snapshot(net))
    assert torch.equal(rng, torch.get_rng_state())
    assert torch.equal(x, images(32, 32))


@pytest.mark.parametrize("name", RUNS_THE_NETWORK)
def test_failures_are_named_and_hand_everything_back(name):
    proxy = proxies.get(name)
    dense = nn.Sequential(nn.Conv2d(3, CLASSES, 1), nn.ReLU())
    before = snapshot(dense)
    with pytest.raises(ProxyFailure) as caught:
        proxy(dense, images(), **({"blocks": list(dense)} if "blocks" in proxy.needs else {}))
    assert caught.value.kind == "output shape"
    assert same(before, snapshot(dense))
    brought = pickle.loads(pickle.dumps(caught.value))  # as from a worker process
    assert (brought.kind, brought.message, str(brought)) == (
        caught.value.kind, caught.value.message, str(caught.value),
    )  # fmt: skip

    with pytest.raises(ProxyFailure) as caught:
        proxy(resnet(), torch.ones(2, 5, 32, 32))
    assert caught.value.kind == "cannot run"

    broken = resnet()
    with torch.no_grad():
        broken.fc.bias[0] = math.nan
    if name not in ("zen", "macs", "complexity"):  # zen draws weights of its own; counting needs no values
        with pytest.raises(ProxyFailure) as caught:
            proxy(broken, images(32, 32))
        assert caught.value.kind == "not finite"


def test_values_depend_on_network_input_and_seed_alone():
    net, x = resnet(), images(32, 32)
    names = [n for n in PROXIES if n != "vkdnw_published"]
    forward, backward = proxies.score(net, names, x), proxies.score(net, names[::-1], x)
    assert list(backward) == names[::-1]
    assert {n: s.value for n, s in forward.items()} == {n: s.value for n, s in backward.items()}
    assert proxies.score(net, ["snip"], x, seed=1)["snip"].value != forward["snip"].value
    assert proxies.score(net, ["naswot"], batch=4, seed=1) != proxies.score(net, ["naswot"], batch=4, seed=2)


def test_values_are_the_same_in_a_fresh_process():
    code = (
        "import torch, timm, json; torch.set_num_threads(1); torch.manual_seed(0);"
        f"net = timm.create_model('test_resnet', num_classes={CLASSES}); from uninas import proxies;"
        "print(json.dumps({n: s.value for n, s in proxies.score(net, ['snip', 'zen', 'naswot'], batch=4, size=32,"
        " seed=3).items()}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    here = proxies.score(resnet(), ["naswot", "snip", "zen"], batch=4, size=32, seed=3)
    assert json.loads(done.stdout) == pytest.approx({name: score.value for name, score in here.items()}, rel=1e-5)


OF_EACH_IMAGE = ("trainability", "zen", "vkdnw_sampled", "meco", "meco_opt")
"""These draw random numbers for each image, or look at the first alone."""


@pytest.mark.parametrize("name", [n for n, p in PROXIES.items() if "labels" not in p.needs and n not in OF_EACH_IMAGE])
def test_order_of_the_images_does_not_matter(name):
    net, x = resnet(), images(32, 32)
    assert proxies.get(name)(net, x) == pytest.approx(proxies.get(name)(net, x.flip(0)), rel=1e-3, abs=1e-3)


def test_every_proxy_says_what_it_is():
    for name, proxy in PROXIES.items():
        assert proxies.sign_of(name) == (1 if proxy.higher_is_better else -1)
        assert proxy.name == name and len(proxy.description) > 30
        assert isinstance(proxy.cost, proxies.Cost) and proxy.higher_is_better in (True, False)
    assert proxies.available() == tuple(PROXIES)


def test_one_failure_does_not_stop_the_others():
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Sigmoid(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, CLASSES))
    found = proxies.score(net, ["naswot", "expressivity", "params", "vkdnw"], images())
    assert found["naswot"].value is None and found["naswot"].failure.startswith("no gates: ")
    assert found["expressivity"].value is None and found["expressivity"].failure.startswith("no blocks: ")
    assert found["params"].value == 3 * 8 * 9 + 8 + 8 * CLASSES + CLASSES
    assert found["vkdnw"].failure is None and all(score.seconds >= 0 for score in found.values())


def test_single_follows_from_vkdnw_without_a_second_run():
    found = proxies.score(resnet(), ["vkdnw_single", "vkdnw", "trainable_layers"], images(32, 32))
    assert found["vkdnw_single"].value == found["vkdnw"].value + found["trainable_layers"].value
    assert found["vkdnw_single"].seconds == found["vkdnw"].seconds
    broken = resnet()
    with torch.no_grad():
        broken.fc.bias[0] = math.nan
    assert proxies.score(broken, ["vkdnw_single"], images(32, 32))["vkdnw_single"].failure.startswith("not finite")


def test_an_unknown_name_gives_the_nearest():
    with pytest.raises(ProxyError, match="did you mean 'naswot'"):
        proxies.score(resnet(), ["nasswot"], images(32, 32))


def test_noise_fits_the_network():
    assert proxies.input_size(vit()) == (32, 32)
    assert proxies.input_size(resnet()) == 64
    net = nn.Conv2d(5, 2, 1).double()
    x = proxies.noise(net, 3, (6, 4), seed=0)
    assert x.shape == (3, 5, 6, 4) and x.dtype == torch.float64
    assert torch.equal(x, proxies.noise(net, 3, (6, 4), seed=0))
    assert not torch.equal(x, proxies.noise(net, 3, (6, 4), seed=1))
