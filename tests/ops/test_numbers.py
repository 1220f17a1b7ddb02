"""What the operations compute, against their definitions written out."""

import math

import pytest
import torch
from torch.nn import functional as F

from uninas.ops import Grid, Value, make
from uninas.ops.modules.attention import FusedAttention
from uninas.ops.modules.conv import SharedInputConv

H, W = 4, 3
N = H * W


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def run(name, *inputs, reference=None, **attributes):
    """The operation on tensors; B x C x H x W is FULL, B x C x N x N is PAIR, B x C x 1 x 1 is POINT."""
    grids = {(H, W): Grid.FULL, (N, N): Grid.PAIR, (1, 1): Grid.POINT}
    op = make(name, attributes)
    values = tuple(Value(x.shape[1], grids[tuple(x.shape[2:])]) for x in inputs)
    op.infer(values)
    module = op.build(values).double()
    return module, module(*inputs, *([reference] if op.needs_reference else []))


def randn(*shape):
    return torch.randn(*shape, dtype=torch.float64)


@pytest.mark.parametrize("heads", [1, 3])
def test_matmul1(heads):
    """a[h, p, q] = sum over the head's c of x[c, p] y[c, q] / sqrt(C / heads); heads = 1 is the paper's definition."""
    x, y = randn(2, 6, H, W), randn(2, 6, H, W)
    _, found = run("matmul1", x, y, heads=heads)
    d = 6 // heads
    expected = torch.empty(2, heads, N, N, dtype=torch.float64)
    for h in range(heads):
        for p in range(N):
            for q in range(N):
                a = x[:, h * d : (h + 1) * d, p // W, p % W]
                b = y[:, h * d : (h + 1) * d, q // W, q % W]
                expected[:, h, p, q] = (a * b).sum(1) / math.sqrt(d)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("heads", [1, 3])
def test_matmul2(heads):
    """out[c, p] = sum over q of a[head of c, p, q] y[c, q]."""
    a, y = randn(2, heads, N, N), randn(2, 6, H, W)
    _, found = run("matmul2", a, y, heads=heads)
    flat = y.flatten(2)
    expected = torch.stack([(a[:, c // (6 // heads)] * flat[:, c, None, :]).sum(-1) for c in range(6)], 1)
    torch.testing.assert_close(found.flatten(2), expected)


def test_attention_is_the_usual_one():
    """matmul1, softmax, matmul2 with h heads are multi-head attention."""
    q, k, v = (randn(2, 6, H, W) for _ in range(3))
    _, scores = run("matmul1", q, k, heads=2)
    _, found = run("matmul2", run("softmax", scores)[1], v, heads=2)
    heads = [x.reshape(2, 2, 3, N).transpose(2, 3) for x in (q, k, v)]
    expected = F.scaled_dot_product_attention(*heads).transpose(2, 3).reshape(2, 6, H, W)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(FusedAttention(2)(q, k, v), expected)


def offsets():
    """(dy, dx) of every query and key position."""
    y, x = torch.meshgrid(torch.arange(H), torch.arange(W), indexing="ij")
    y, x = y.flatten(), x.flatten()
    return y[:, None] - y, x[:, None] - x


def test_relative_position_bias_depends_on_the_offset():
    """Positions at equal offsets share a bias; on the design grid the biases are the table's own entries."""
    scores, reference = randn(2, 2, N, N), randn(2, 5, H, W)
    module, _ = run("rel_pos_bias", scores, reference=reference, size=4)
    torch.nn.init.normal_(module.table)
    found = module(scores, reference) - scores
    torch.testing.assert_close(found[0], found[1])
    dy, dx = offsets()
    table = module.table.detach()
    # The grid is 4 x 3: its 7 x 5 offsets are the 7 rows of the table and 5 columns interpolated from 7.
    columns = F.interpolate(table[None], size=(7, 5), mode="bilinear", align_corners=True)[0]
    torch.testing.assert_close(found[0].detach(), columns[:, dy + H - 1, dx + W - 1])


def test_relative_position_bias_on_its_own_grid():
    module = make("rel_pos_bias", {"size": 3}).build((Value(1, Grid.PAIR),))
    torch.nn.init.normal_(module.table)
    bias = module(None, torch.zeros(1, 1, 3, 3))[0, 0]
    y, x = torch.arange(9) // 3, torch.arange(9) % 3
    torch.testing.assert_close(bias, module.table[0, y[:, None] - y + 2, x[:, None] - x + 2])


@pytest.mark.parametrize(("height", "width"), [(1, 3), (3, 1), (1, 1)])
def test_relative_position_bias_on_a_single_row(height, width):
    """The only offset along an axis of one position is 0, the middle of the table."""
    module = make("rel_pos_bias", {"size": 3}).build((Value(1, Grid.PAIR),))
    torch.nn.init.normal_(module.table)
    bias = module(None, torch.zeros(1, 1, height, width))[0, 0]
    y, x = torch.arange(height * width) // width, torch.arange(height * width) % width
    torch.testing.assert_close(bias, module.table[0, y[:, None] - y + 2, x[:, None] - x + 2])


@pytest.mark.parametrize(("height", "width"), [(4, 3), (2, 5), (3, 3)])
def test_relative_position_bias_compiled(height, width, monkeypatch):
    """Compilers and exporters get another way to the same numbers."""
    module = make("rel_pos_bias", {"size": 3}).build((Value(2, Grid.PAIR),))
    torch.nn.init.normal_(module.table)
    expected = module(None, torch.zeros(1, 1, height, width))
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    torch.testing.assert_close(module(None, torch.zeros(1, 1, height, width)), expected)


@pytest.mark.parametrize("mode", ["no_grad", "inference_mode"])
def test_relative_position_bias_is_never_stale(mode):
    """Kept between calls or not: it follows the table, the size, the precision and the mode."""
    module = make("rel_pos_bias", {"size": 3}).build((Value(2, Grid.PAIR),)).eval()
    small, large = torch.zeros(1, 1, 2, 3), torch.zeros(1, 1, 4, 2)

    def fresh(reference):
        other = make("rel_pos_bias", {"size": 3}).build((Value(2, Grid.PAIR),)).to(module.table.dtype)
        other.load_state_dict(module.state_dict())
        return other(None, reference)

    def check(reference):
        with getattr(torch, mode)():
            for _ in range(2):
                assert torch.equal(module(None, reference), fresh(reference))

    torch.nn.init.normal_(module.table)
    check(small)
    check(large)
    torch.nn.init.normal_(module.table)
    check(large)
    module.table.data = torch.randn_like(module.table)  # unseen by version counters
    check(large)
    module.double()
    check(large)
    bias = module(None, large)  # with gradients again
    bias.square().sum().backward()
    assert module.table.grad.abs().sum() > 0
    check(large)
    check(small)


@pytest.mark.parametrize("shape", [(H, W), (N, N)])
def test_mask(shape):
    """Entries with |i - j| <= band on the last two axes are kept."""
    x = randn(2, 3, *shape)
    _, zeroed = run("mask", x, reference=randn(2, 5, H, W), band=1)
    i, j = torch.arange(shape[0])[:, None], torch.arange(shape[1])
    kept = (i - j).abs() <= 1
    torch.testing.assert_close(zeroed, torch.where(kept, x, 0.0))
    if shape == (N, N):
        _, excluded = run("mask", x, reference=randn(2, 5, H, W), band=1, fill="exclude")
        torch.testing.assert_close(excluded.softmax(-1), torch.where(kept, x, -math.inf).softmax(-1))


def test_the_papers_mask_is_wide_five():
    assert make("mask").attributes() == {"band": 5, "fill": "zero"}


def test_multiply():
    a, b, c = (randn(2, 3, H, W) for _ in range(3))
    torch.testing.assert_close(run("multiply", a, b)[1], a / (1 + (-b).exp()))
    torch.testing.assert_close(run("multiply", a, b, c, gate="none")[1], a * b * c)


def test_add_concat_chunk():
    a, b, c = (randn(2, 4, H, W) for _ in range(3))
    torch.testing.assert_close(run("add", a, b, c)[1], a + b + c)
    joined = run("concat", a, b)[1]
    assert torch.equal(joined[:, :4], a)
    assert torch.equal(joined[:, 4:], b)
    left, right = run("chunk", a, parts=2)[1]
    assert torch.equal(left, a[:, :2])
    assert torch.equal(right, a[:, 2:])


def test_norms():
    x = randn(2, 6, H, W) * 3 + 1
    mean, variance = x.mean(1, keepdim=True), x.var(1, keepdim=True, unbiased=False)
    torch.testing.assert_close(run("layer_norm", x)[1], (x - mean) / (variance + 1e-6).sqrt())
    torch.testing.assert_close(run("rms_norm", x)[1], x / (x.square().mean(1, keepdim=True) + 1e-6).sqrt())
    groups = x.reshape(2, 2, -1)
    mean, variance = groups.mean(2, keepdim=True), groups.var(2, keepdim=True, unbiased=False)
    expected = ((groups - mean) / (variance + 1e-6).sqrt()).reshape(x.shape)
    torch.testing.assert_close(run("group_norm", x, groups=2)[1], expected)
    mean, variance = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), keepdim=True, unbiased=False)
    torch.testing.assert_close(run("batch_norm", x)[1], (x - mean) / (variance + 1e-5).sqrt())


def test_norm_weights_scale_channels():
    x = randn(2, 4, H, W)
    for name in ("layer_norm", "rms_norm", "group_norm", "layer_scale"):
        attributes = {"groups": 2} if name == "group_norm" else {}
        module, before = run(name, x, **attributes)
        before = before / module.weight.detach()[:, None, None]
        with torch.no_grad():
            module.weight.copy_(torch.tensor([1.0, 2.0, 0.5, -1.0]))
        torch.testing.assert_close(module(x), before * module.weight[:, None, None])


def test_activations():
    x = randn(2, 3, H, W) * 4
    cubic = x * (x + 3).clamp(0, 6) / 6
    for name, expected in {
        "relu": x.clamp(min=0),
        "gelu": x * 0.5 * (1 + torch.erf(x / math.sqrt(2))),
        "silu": x / (1 + (-x).exp()),
        "sigmoid": 1 / (1 + (-x).exp()),
        "hardswish": cubic,
        "softmax": x.exp() / x.exp().sum(-1, keepdim=True),
    }.items():
        torch.testing.assert_close(run(name, x)[1], expected, msg=name)


def test_pools():
    x = randn(2, 3, H, W)
    largest, average = torch.empty_like(x), torch.empty_like(x)
    for i in range(H):
        for j in range(W):
            window = x[:, :, max(i - 1, 0) : i + 2, max(j - 1, 0) : j + 2]
            largest[:, :, i, j], average[:, :, i, j] = window.amax((2, 3)), window.mean((2, 3))
    torch.testing.assert_close(run("max_pool", x)[1], largest)
    torch.testing.assert_close(run("avg_pool", x)[1], average)
    point = x.sum((2, 3), keepdim=True) / N
    torch.testing.assert_close(run("global_avg_pool", x)[1], point)
    wide = run("upsample", point, reference=randn(2, 7, H, W))[1]
    assert wide.shape == x.shape
    assert torch.equal(wide, point.repeat(1, 1, H, W))


def test_dropout():
    x = torch.ones(1, 1, N, N, dtype=torch.float64)
    module, dropped = run("dropout", x, p=0.25)
    assert set(dropped.unique().tolist()) == {0.0, 1 / 0.75}
    assert 0.6 < (dropped > 0).double().mean() < 0.9
    assert torch.equal(module.eval()(x), x)


@pytest.mark.parametrize(("groups", "ratio"), [(1, 1), (2, 2), (3, "1/2")])
@pytest.mark.parametrize("kernel", [1, 5])
def test_conv(kernel, groups, ratio):
    x = randn(2, 6, H, W)
    module, found = run("conv", x, kernel=kernel, groups=groups, ratio=ratio)
    expected = F.conv2d(x, module.weight, module.bias, padding=kernel // 2, groups=groups)
    torch.testing.assert_close(found, expected)
    outside = x.clone()
    outside[..., -1, -1] += 1  # a pixel is seen by its kernel's neighbourhood and no further
    seen = (module(outside) - found).abs().amax((0, 1)) > 0
    i, j = torch.arange(H)[:, None], torch.arange(W)
    assert torch.equal(seen, ((H - 1 - i) <= kernel // 2) & ((W - 1 - j) <= kernel // 2))


def test_depthwise_conv_keeps_channels_apart():
    x = randn(2, 4, H, W)
    module, found = run("dwconv", x, kernel=5)
    changed = x.clone()
    changed[:, 2] += 1
    assert (module(changed) - found).abs().amax((0, 2, 3)).gt(0).tolist() == [False, False, True, False]


@pytest.mark.parametrize("bias", [True, False])
def test_convolutions_of_one_input(bias):
    """Side by side, they are one convolution."""
    op, x = make("conv", {"kernel": 3, "bias": bias}), torch.randn(2, 4, H, W)
    convs = [op.build((Value(4),)) for _ in range(3)]
    expected = torch.cat([conv(x) for conv in convs], 1)
    torch.testing.assert_close(SharedInputConv()(x, *convs), expected)
