"""Operations on grids where the alphabet leaves them out, as networks of the paper authors' package have them.

Their moves put any operation on any grid: a 3 x 3 convolution over affinities, batch norm of one position, attention
inside a squeeze-excite. No shipped space names these, so no search proposes them; networks that were converted have
them (`uninas.convert`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .activation import Softmax
from .attention import Matmul1, Matmul2
from .base import ALL_GRIDS, Op, Values, attribute
from .conv import Conv, DepthwiseConv
from .norm import BatchNorm, LayerNorm
from .pool import MaxPool
from .value import Grid, Size, Value

if TYPE_CHECKING:
    from torch import nn


class _Anywhere(Op):
    """On every grid."""

    converted = True

    @property
    def grids(self) -> tuple[Grid, ...]:
        return ALL_GRIDS


class _OnPoint(Op):
    """On POINT alone."""

    converted = True

    @property
    def grids(self) -> tuple[Grid, ...]:
        return (Grid.POINT,)


@dataclass(frozen=True)
class AnyConv(_Anywhere, Conv):
    """A convolution that takes affinities, or a single position, for an image too."""

    name = "any_conv"


@dataclass(frozen=True)
class AnyDepthwiseConv(_Anywhere, DepthwiseConv):
    """A depthwise convolution that takes affinities, or a single position, for an image too."""

    name = "any_dwconv"


@dataclass(frozen=True)
class AnyMaxPool(_Anywhere, MaxPool):
    """Maximum over 3 x 3 of any grid, stride 1."""

    name = "any_max_pool"


@dataclass(frozen=True)
class AnyLayerNorm(_Anywhere, LayerNorm):
    """Layer normalisation over channels of any grid; over a single channel it gives its bias."""

    name = "any_layer_norm"

    def shape(self, inputs: Values) -> Values:
        return inputs


@dataclass(frozen=True)
class AnyBatchNorm(_Anywhere, BatchNorm):
    """Batch normalisation of any grid; on POINT it trains on batches of two images or more."""

    name = "any_batch_norm"


@dataclass(frozen=True)
class PointSoftmax(_OnPoint, Softmax):
    """Softmax over one position: the constant 1."""

    name = "point_softmax"
    constant = True


@dataclass(frozen=True)
class PointMatmul1(_OnPoint, Matmul1):
    """`matmul1` of a single position: one affinity a head."""

    name = "point_matmul1"

    @property
    def commutative(self) -> bool:
        return True

    def shape(self, inputs: Values) -> Values:
        (pair,) = super().shape(inputs)
        return (Value(pair.channels, Grid.POINT),)


@dataclass(frozen=True)
class PointMatmul2(_OnPoint, Matmul2):
    """`matmul2` of a single position: every head's channels times its affinity."""

    name = "point_matmul2"

    def shape(self, inputs: Values) -> Values:
        affinities, y = inputs
        self.check(affinities, y, Grid.POINT)
        return (y,)


@dataclass(frozen=True)
class SharedPosBias(_Anywhere):
    """A relative position bias with one table for all channels.

    On FULL, rows and columns stand for the positions of a `size` x `size` grid, so that the table is exact where the
    map is size^2 x size^2; its expansion is resized to other maps. On POINT it adds the bias of a position to itself.
    """

    name = "shared_pos_bias"
    role = "bias"
    repeatable = False
    needs_reference = True
    size: int = attribute(14, minimum=1)

    def parameters(self, inputs: Values) -> int:
        return (2 * self.size - 1) ** 2

    def build(self, inputs: Values) -> nn.Module:
        from .modules.attention import RelativePositionBias
        from .modules.unrestricted import MapPositionBias, PointPositionBias

        kinds = {Grid.PAIR: RelativePositionBias, Grid.FULL: MapPositionBias, Grid.POINT: PointPositionBias}
        return kinds[inputs[0].grid](1, self.size)


@dataclass(frozen=True)
class PairAvgPool(Op):
    """PAIR -> POINT: each head's average over all affinities."""

    name = "pair_avg_pool"
    role = "pool"
    channelwise = True

    @property
    def grids(self) -> tuple[Grid, ...]:
        return (Grid.PAIR,)

    def shape(self, inputs: Values) -> Values:
        return (Value(inputs[0].channels, Grid.POINT),)

    def build(self, inputs: Values) -> nn.Module:
        from .modules.pool import GlobalAverage

        return GlobalAverage()


@dataclass(frozen=True)
class PairUpsample(_OnPoint):
    """POINT -> PAIR: one value a head, everywhere."""

    name = "pair_upsample"
    needs_reference = True
    channelwise = True

    def shape(self, inputs: Values) -> Values:
        return (Value(inputs[0].channels, Grid.PAIR),)

    def build(self, inputs: Values) -> nn.Module:
        from .modules.unrestricted import UpsampleToPair

        return UpsampleToPair()


@dataclass(frozen=True)
class Zero(_Anywhere):
    """0 everywhere; nothing of the input is left, and no gradient goes back to it."""

    name = "zero"
    channelwise = True
    repeatable = False
    nonnegative = True
    constant = True

    def macs(self, inputs: Values, size: Size) -> int:
        return 0

    def build(self, inputs: Values) -> nn.Module:
        from .modules.unrestricted import Zeros

        return Zeros()
