"""Well-known blocks in the graph language. Each function gives a `Block` for a stage of `width` channels.

`width` matters only where channels are counted rather than scaled (attention heads).
"""

from __future__ import annotations

from ..errors import GenotypeError
from ..genotype import Block, BlockGraph, GraphBuilder, Ref, SubBlock
from ..genotype.downsample import nearest_heads
from ..genotype.frame import check_whole

HEAD_WIDTH = 32
"""Channels of an attention head, as in the paper."""


def heads_for(width: int, head_width: float = HEAD_WIDTH) -> int:
    """The number of heads nearest to `width / head_width` that divides the width.

    Raises:
        GenotypeError: `width` is not a whole number of at least 1, or `head_width` is not positive.
    """
    check_whole(width, "width")
    if not head_width > 0:
        raise GenotypeError(f"wants a positive number, got {head_width!r}", "head_width")
    return nearest_heads(width, head_width)


def squeeze_excite(b: GraphBuilder, x: Ref, ratio: int = 4, activation: str = "gelu") -> Ref:
    """x * sigmoid(upsample(expand(act(reduce(global average of x)))))."""
    gate = b.chain(x, "global_avg_pool", ("conv", {"ratio": f"1/{ratio}"}), activation, ("conv", {"ratio": ratio}))
    return b.add("multiply", x, b.add("upsample", gate), id="excite")


def attention(b: GraphBuilder, x: Ref, heads: int, bias_size: int | None) -> Ref:
    """Multi-head self-attention: q, k, v from one convolution, affinities (+ relative position bias), softmax, mix."""
    q, k, v = b.ports(b.add("chunk", b.add("conv", x, ratio=3, id="qkv"), parts=3))
    a = b.add("matmul1", q, k, heads=heads)
    if bias_size:
        a = b.add("rel_pos_bias", a, size=bias_size)
    a = b.add("softmax", a)
    return b.add("matmul2", a, v, heads=heads)


def mlp(b: GraphBuilder, x: Ref, ratio: int = 4, norm: str | None = "layer_norm") -> Ref:
    """Expand, (norm,) GELU, reduce."""
    return b.chain(x, ("conv", {"ratio": ratio}), *([norm] if norm else []), "gelu", ("conv", {"ratio": f"1/{ratio}"}))


def _graph(write) -> BlockGraph:
    b = GraphBuilder()
    return b.build(write(b, b.input))


def residual(width: int) -> Block:
    """R: conv3 BN GELU conv3 BN GELU (Tybl & Neumann, 2025)."""
    half = (("conv", {"kernel": 3}), "batch_norm", "gelu")
    return Block((SubBlock(_graph(lambda b, x: b.chain(x, *half, *half))),))


def mbconv(width: int, ratio: int = 4, kernel: int = 5) -> Block:
    """E: expand BN GELU depthwise BN GELU SE reduce BN (Tybl & Neumann, 2025)."""

    def write(b: GraphBuilder, x: Ref) -> Ref:
        expand = ("conv", {"ratio": ratio})
        x = b.chain(x, expand, "batch_norm", "gelu", ("dwconv", {"kernel": kernel}), "batch_norm", "gelu")
        return b.chain(squeeze_excite(b, x), ("conv", {"ratio": f"1/{ratio}"}), "batch_norm")

    return Block((SubBlock(_graph(write)),))


def transformer(width: int, bias_size: int | None = 14, head_width: int = HEAD_WIDTH) -> Block:
    """T: attention with relative position bias, then an MLP with a norm inside (Tybl & Neumann, 2025).

    Args:
        bias_size: side of the grid that the bias table covers; None leaves the bias out.
    """
    heads = heads_for(width, head_width)
    f1 = _graph(lambda b, x: b.add("conv", attention(b, x, heads, bias_size), id="project"))
    return Block((SubBlock(f1), SubBlock(_graph(mlp))))


def convnext(width: int) -> Block:
    """depthwise 7, LN, expand x4, GELU, reduce, layer scale (Liu et al., "A ConvNet for the 2020s", 2022)."""

    def write(b: GraphBuilder, x: Ref) -> Ref:
        x = b.chain(x, ("dwconv", {"kernel": 7, "bias": True}), "layer_norm")
        return b.add("layer_scale", mlp(b, x, norm=None))

    return Block((SubBlock(_graph(write), norm=None),))


def inverted_residual(
    width: int,
    ratio: int = 6,
    kernel: int = 3,
    residual: bool = True,
    activation: str = "relu",
    squeeze: int | None = None,
) -> Block:
    """expand BN ReLU depthwise BN ReLU reduce BN (Sandler et al., "MobileNetV2", 2018; with ReLU for ReLU6).

    Args:
        ratio: of the expansion; 1 leaves it out, as in MobileNetV2's first block.
        residual: whether the input is added; MobileNetV2 leaves it out where a stage begins.
        activation: `relu6` in the published network.
        squeeze: squeeze-excite behind the depthwise convolution: its channels to those that it squeezes them into.
    """

    def write(b: GraphBuilder, x: Ref) -> Ref:
        if ratio != 1:
            x = b.chain(x, ("conv", {"ratio": ratio, "bias": False}), "batch_norm", activation)
        x = b.chain(x, ("dwconv", {"kernel": kernel}), "batch_norm", activation)
        if squeeze:
            x = squeeze_excite(b, x, squeeze, activation)
        return b.chain(x, ("conv", {"ratio": f"1/{ratio}", "bias": False}), "batch_norm")

    return Block((SubBlock(_graph(write), norm=None, residual=residual),))


def bottleneck(width: int, ratio: int = 4) -> Block:
    """reduce BN ReLU conv3 BN ReLU expand BN, ReLU behind the sum (He et al., "Deep Residual Learning", 2016)."""

    def write(b: GraphBuilder, x: Ref) -> Ref:
        x = b.chain(x, ("conv", {"ratio": f"1/{ratio}", "bias": False}), "batch_norm", "relu")
        x = b.chain(x, ("conv", {"kernel": 3, "bias": False}), "batch_norm", "relu")
        return b.chain(x, ("conv", {"ratio": ratio, "bias": False}), "batch_norm")

    return Block((SubBlock(_graph(write), norm=None, activation="relu"),))


def poolformer(width: int) -> Block:
    """Token mixing by pooling, then an MLP (Yu et al., "MetaFormer Is Actually What You Need for Vision", 2022).

    The published mixer is pool(x) - x; a layer scale that starts at -1 on the identity branch learns the sign.
    """

    def mix(b: GraphBuilder, x: Ref) -> Ref:
        return b.add("add", b.add("avg_pool", x), b.add("layer_scale", x, init=-1.0))

    feed = _graph(lambda b, x: mlp(b, x, norm=None))
    return Block((SubBlock(_graph(mix), norm="group"), SubBlock(feed, norm="group")))


def gated_conv(width: int, kernel: int = 7) -> Block:
    """Two branches of one expansion, one gating the other: conv x4, chunk, depthwise, GELU, product, reduce
    (after Dauphin et al., "Language Modeling with Gated Convolutional Networks", 2017)."""

    def write(b: GraphBuilder, x: Ref) -> Ref:
        value, gate = b.ports(b.add("chunk", b.add("conv", x, ratio=4, id="expand"), parts=2))
        gate = b.chain(gate, ("dwconv", {"kernel": kernel}), "gelu")
        return b.add("conv", b.add("multiply", value, gate, gate="none"), ratio="1/2", id="project")

    return Block((SubBlock(_graph(write)),))


def conv_attention(width: int, bias_size: int | None = 14, head_width: int = HEAD_WIDTH) -> Block:
    """Half of the channels convolve, half attend, side by side; then an MLP (after Pan et al., "On the Integration of
    Self-Attention and Convolution", 2022)."""
    heads = heads_for(width // 2, head_width)

    def mix(b: GraphBuilder, x: Ref) -> Ref:
        left, right = b.ports(b.add("chunk", x, parts=2))
        left = b.chain(left, ("dwconv", {"kernel": 5}), "batch_norm", "gelu")
        return b.add("conv", b.add("concat", left, attention(b, right, heads, bias_size)), id="project")

    return Block((SubBlock(_graph(mix)), SubBlock(_graph(mlp))))
