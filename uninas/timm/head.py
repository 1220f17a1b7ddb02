"""A genotype's head in the parts that timm's functions take one by one."""

from __future__ import annotations

from timm.layers.adaptive_avgmax_pool import SelectAdaptivePool2d
from torch import Tensor, nn
from torch.nn import functional as F

from ..compiler.init import Init, initialise, without_initialisation
from ..errors import GenotypeError, nearest
from ..genotype import Head
from ..ops.layers import sequential
from ..ops.modules.layers import PointLinear
from ..ops.modules.pool import GlobalAverage

POOLS = ("avg", "max", "avgmax", "")
"""timm's names of what pools the last feature map; with "" it stays a map, and there can be no classifier."""


class TimmHead(nn.Sequential):
    """Norm, activation, pool, dropout, classifier: B x C x H x W -> logits B x num_classes.

    The parts have the names that they have in `uninas.build`'s network.

    Args:
        head: the genotype's.
        features: C.
        num_classes: 0 gives pooled features, B x C.
        global_pool: one of POOLS.
        drop_rate: of the dropout before the classifier, in the place of the genotype's.
        seed, init: of the classifier's weights.

    Raises:
        GenotypeError: there is no such pool, or it leaves a map for the classifier.
    """

    def __init__(
        self,
        head: Head,
        features: int,
        num_classes: int,
        global_pool: str,
        drop_rate: float,
        seed: int,
        init: Init = "search",
    ) -> None:
        if global_pool not in POOLS:
            raise GenotypeError(f"there is no {global_pool!r}; {nearest(str(global_pool), POOLS)}", "global_pool")
        if num_classes and not global_pool:
            raise GenotypeError("a classifier needs a pool; num_classes=0 gives the feature map", "global_pool")
        whole = nn.Module()
        with without_initialisation():
            whole.head = sequential(head.layers(features, num_classes))
        initialise(whole, seed, init)  # under the name by which the weights are drawn
        super().__init__(*whole.head)
        self.body = len(head.layers(features, 0))
        self.pooled = bool(global_pool)
        self.drop_rate = drop_rate
        for i, part in enumerate(self):
            if isinstance(part, GlobalAverage) and global_pool != "avg":
                self[i] = SelectAdaptivePool2d(pool_type=global_pool) if global_pool else nn.Identity()
            elif isinstance(part, nn.Dropout):
                part.p = 0.0  # drop_rate says it for every head, whether it has this part or not

    def classifier(self) -> nn.Module:
        """The linear layer, or an Identity where there is none."""
        found = [part for part in self if isinstance(part, PointLinear)]
        return found[0] if found else nn.Identity()

    def keep_weights(self, other: TimmHead) -> None:
        """Takes the norm of another head of the same features, so that it stays as trained."""
        for i, (ours, theirs) in enumerate(zip(self, other)):
            shapes = [[value.shape for value in part.state_dict().values()] for part in (ours, theirs)]
            if i < self.body and shapes[0] and shapes[0] == shapes[1]:
                self[i] = theirs

    def forward(self, x: Tensor, pre_logits: bool = False) -> Tensor:  # type: ignore[override]
        """With `pre_logits`, what the classifier would be given: B x C, or the map where nothing pools."""
        for place, part in enumerate(self):
            if place < self.body:
                x = part(x)
            elif not pre_logits:
                if place == self.body:
                    x = F.dropout(x, self.drop_rate, self.training)
                x = part(x)
        if self.pooled:
            x = x.flatten(1)
        return x
