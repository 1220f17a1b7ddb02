from __future__ import annotations

import pytest
import torch
from torch import nn

from uninas.proxies.state import copied, preserve_state, replaced_forwards

from .nets import images, make


def test_batch_statistics_leave_dropout_off():
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Dropout(0.5))
    with preserve_state(net, statistics="batch"):
        assert [m.training for m in net] == [False, True, False]
        net(images())
    assert all(m.training for m in net.modules())
    assert net[1].num_batches_tracked == 0 and (net[1].running_mean == 0).all()


def test_weights_come_back_even_in_another_precision():
    net = make("convolutional")
    before = [(p.data_ptr(), p.clone()) for p in net.parameters()]
    buffers = [b.clone() for b in net.buffers()]
    with pytest.raises(KeyError), preserve_state(net, weights=True):
        net.double()
        with torch.no_grad():
            for p in net.parameters():
                p.zero_()
        net(images().double()).sum().backward()
        raise KeyError
    for p, (pointer, value) in zip(net.parameters(), before):
        assert p.data_ptr() == pointer and torch.equal(p, value) and p.grad is None
    assert all(torch.equal(a, b) and a.dtype == b.dtype for a, b in zip(net.buffers(), buffers))


def test_a_buffer_that_was_exchanged_comes_back():
    net = nn.BatchNorm2d(2)
    original = net.running_mean
    with preserve_state(net):
        net.running_mean = torch.full((2,), 7.0)
    assert net.running_mean is original and (original == 0).all()


def test_replaced_forwards_are_put_back():
    net = make("convolutional")
    with replaced_forwards(net, lambda m: (lambda x: x * 0) if isinstance(m, nn.GroupNorm) else None):
        assert (net[6](torch.ones(1, 12, 2, 2)) == 0).all()
    assert not any("forward" in m.__dict__ for m in net.modules())


class Caching(nn.Module):
    """Keeps what it computes from a parameter when it is not in training, as timm's LeViT does."""

    def __init__(self) -> None:
        super().__init__()
        self.bias, self.cache = nn.Parameter(torch.ones(3, 1, 1)), {}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if "bias" not in self.cache:
            self.cache["bias"] = 2 * self.bias
        return x + self.cache["bias"]


def test_caches_are_put_aside():
    net, x = Caching().eval(), images()
    with torch.no_grad():
        net(x)
    cache, kept = net.cache, net.cache["bias"]
    with preserve_state(net):
        for _ in range(2):  # a cache with the history of the first pass would break the second
            with preserve_state(net):
                net(x).sum().backward()
                assert net.bias.grad is not None and (net.bias.grad != 0).all()
        assert not net.cache
        net.cache["other"] = kept
    assert net.cache is cache and list(cache) == ["bias"] and cache["bias"] is kept


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
def test_a_copy_of_a_network_with_computed_tensors():
    net = nn.Sequential(nn.utils.weight_norm(nn.Conv2d(3, 4, 1)))
    x, expected = images(), net(images())
    assert not net[0].weight.is_leaf
    twin = copied(net).double()
    assert torch.allclose(twin(x.double()).float(), expected, atol=1e-6)
    assert torch.equal(net(x), expected) and net[0].weight.dtype == torch.float32
