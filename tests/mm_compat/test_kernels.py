"""mmcv's operators on other libraries' kernels, against definitions and finite differences."""

import pytest
import torch
import torch.nn.functional as F

pytest.importorskip("mmcv")

from uninas.mm_compat import operators, prepare

prepare()
pytestmark = pytest.mark.skipif(operators.compiled(), reason="this mmcv has its own operators")

# All different in the two directions, so that a mix-up shows.
SHAPE = {"stride": (1, 2), "padding": (2, 1), "dilation": (2, 1)}


def tensors(*shapes: tuple[int, ...]) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(*s, generator=generator, dtype=torch.float64, requires_grad=True) for s in shapes]


def test_deformable_convolution_without_offsets_is_a_convolution():
    from mmcv.ops import deform_conv2d

    x, weight = tensors((2, 4, 7, 8), (6, 4, 3, 3))
    expected = F.conv2d(x, weight, **SHAPE)
    offset = torch.zeros(2, 18, *expected.shape[2:], dtype=torch.float64)
    found = deform_conv2d(x, offset, weight, *SHAPE.values())
    torch.testing.assert_close(found, expected)
    ours = torch.autograd.grad(found.sin().sum(), (x, weight))
    torch.testing.assert_close(ours, torch.autograd.grad(expected.sin().sum(), (x, weight)))


def test_offsets_move_where_it_looks():
    from mmcv.ops import deform_conv2d

    x, weight = tensors((1, 2, 8, 8), (3, 2, 1, 1))
    offset = torch.zeros(1, 2, 8, 8, dtype=torch.float64)
    offset[:, 0], offset[:, 1] = 2, -1  # rows, then columns
    found = deform_conv2d(x, offset, weight)
    assert torch.allclose(found[..., :6, 1:], F.conv2d(x, weight)[..., 2:, :7])


def test_gradients_of_deformable_convolution():
    from mmcv.ops import deform_conv2d, modulated_deform_conv2d

    x, offset, weight, mask, bias = tensors((1, 2, 5, 5), (1, 18, 3, 3), (2, 2, 3, 3), (1, 9, 3, 3), (2,))
    assert torch.autograd.gradcheck(lambda x, o, w: deform_conv2d(x, o / 3, w), (x, offset, weight))
    assert torch.autograd.gradcheck(
        lambda x, o, m, w, b: modulated_deform_conv2d(x, o / 3, m, w, b, 1, 0, 1, 1, 1), (x, offset, mask, weight, bias)
    )


def test_the_second_version_weighs_what_it_sees_and_adds_a_bias():
    from mmcv.ops import modulated_deform_conv2d

    x, weight, bias = tensors((2, 4, 7, 8), (6, 4, 3, 3), (6,))
    expected = F.conv2d(x, weight, **SHAPE)
    zeros, halves = (torch.full((2, n, *expected.shape[2:]), v, dtype=torch.float64) for n, v in ((18, 0.0), (9, 0.5)))
    found = modulated_deform_conv2d(x, zeros, halves, weight, bias, *SHAPE.values(), 1, 1)
    torch.testing.assert_close(found, expected / 2 + bias[:, None, None])


def test_roi_pool_takes_the_largest_of_each_cell():
    from mmcv.ops import RoIPool

    features = torch.arange(64.0).view(1, 1, 8, 8).requires_grad_(True)
    pooled = RoIPool(2, 0.5)(features, torch.tensor([[0.0, 0, 0, 14, 14]]))
    assert pooled.flatten().tolist() == [27, 31, 59, 63]
    pooled.sum().backward()
    assert features.grad.flatten().nonzero().flatten().tolist() == [27, 31, 59, 63]


def test_deformable_attention_as_mmcv_calls_it_on_a_gpu():
    from mmcv.ops.multi_scale_deform_attn import MultiScaleDeformableAttnFunction

    shapes = torch.tensor([[4, 3], [2, 2]])
    starts = torch.tensor([0, 12])
    value, at, weights = tensors((2, 16, 2, 3), (2, 5, 2, 2, 4, 2), (2, 5, 2, 2, 4))

    def attend(value, at, weights):
        return MultiScaleDeformableAttnFunction.apply(value, shapes, starts, at.sigmoid(), weights.softmax(-1), 64)

    assert attend(value, at, weights).shape == (2, 5, 6)
    # The same value everywhere is what any attention reads that looks at the middle and whose weights sum to one.
    constant = torch.full_like(value, 2.0)
    levels = torch.full_like(weights, 1 / 8)
    middle = torch.full_like(at, 0.5)
    read = MultiScaleDeformableAttnFunction.apply(constant, shapes, starts, middle, levels, 64)
    torch.testing.assert_close(read, torch.full_like(read, 2.0))
    assert torch.autograd.gradcheck(attend, (value, at, weights))
