"""The contract of a proxy: a pure function of (network, input, generator) with a value or a named failure."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uninas.proxies.failures import ProxyFailure, logits_of
from uninas.proxies.state import Statistics, differentiable_attention, preserve_state

Need = Literal["noise", "images", "labels", "gradients", "gates", "blocks"]
"""What a proxy looks at. `images` can be noise too, but real ones were used where it was published; `labels` are drawn
at random unless given."""


class Cost(Enum):
    """What a proxy's computation grows with."""

    COUNT = "no pass, or one of a single image"
    FORWARD = "forward passes of the batch"
    BACKWARD = "forward and backward passes of the batch"
    CLASSES = "one backward pass of the batch a class"


@dataclass(frozen=True)
class Proxy:
    """A training-free score.

    Calling it scores one network: it takes (net, x, generator) and, where its `needs` name them, the keyword arguments
    `labels` (B integers) and `blocks` (modules; see `blocks.find_blocks`). The network is handed back as it was, and
    global random state is not touched.

    Attributes:
        name: as in tables and on the command line.
        function: the computation; it finds the network in eval mode and may leave it in any state.
        needs: what it looks at.
        cost: what its time grows with.
        higher_is_better: its direction.
        statistics: what batch norms use: those of the batch, as in training, or the running ones.
        changes_weights: whether the function works on other weights than it is given.
        of: another proxy from whose result this one follows; its function then takes (net, that result).
        description: definition and source.
    """

    name: str
    function: Callable[..., Any]
    needs: frozenset[Need]
    cost: Cost
    higher_is_better: bool = True
    statistics: Statistics = "running"
    changes_weights: bool = False
    of: Proxy | None = None
    description: str = field(default="", repr=False)

    def __call__(self, net: nn.Module, x: Tensor, generator: torch.Generator | None = None, **options: Any) -> float:
        """The score of `net`.

        Args:
            net: B x C_in x H x W -> B x C logits.
            x: B x C_in x H x W, of the network's dtype and device.
            generator: for random labels, signs and weights; without it, a new one with seed 0.

        Raises:
            ProxyFailure: there is no score; its `kind` says why.
        """
        return self.value(net, self.measure(net, x, generator, **options))

    def measure(self, net: nn.Module, x: Tensor, generator: torch.Generator | None = None, **options: Any) -> Any:
        """What the network is run for: the function's result, or that of the proxy from which this one follows.

        Raises:
            ProxyFailure: as calling does.
        """
        if self.of is not None:
            return self.of.measure(net, x, generator, **options)
        generator = generator or torch.Generator().manual_seed(0)
        options = {name: value for name, value in options.items() if name in self.needs}
        with preserve_state(net, statistics=self.statistics, weights=self.changes_weights):
            net.requires_grad_("gradients" in self.needs)
            try:
                with differentiable_attention(composite=self.cost is Cost.BACKWARD):
                    return self.function(net, x.detach(), generator, **options)
            except RuntimeError as error:  # of torch: memory, a decomposition that does not converge...
                raise ProxyFailure("cannot run", f"{self.name}: {error}") from error

    def value(self, net: nn.Module, result: Any) -> float:
        """The score that follows from what was measured.

        Raises:
            ProxyFailure: it is not finite.
        """
        if self.of is not None:
            result = self.function(net, result if self.of.of is None else self.of.value(net, result))
        value = float(result)
        if not math.isfinite(value):
            raise ProxyFailure("not finite", f"{self.name} is {value} for this network and input")
        return value


def proxy(
    needs: Iterable[Need],
    cost: Cost,
    *,
    name: str | None = None,
    higher_is_better: bool = True,
    statistics: Statistics = "running",
    changes_weights: bool = False,
) -> Callable[[Callable[..., Any]], Proxy]:
    """Makes a function of (net, x, generator) into a `Proxy` of its name and docstring."""

    def wrap(function: Callable[..., Any]) -> Proxy:
        return Proxy(
            name or function.__name__,
            function,
            frozenset(needs),
            cost,
            higher_is_better,
            statistics,
            changes_weights,
            description=inspect.getdoc(function) or "",
        )

    return wrap


def derived(of: Proxy, name: str | None = None) -> Callable[[Callable[[nn.Module, Any], float]], Proxy]:
    """Makes a function of (net, result of another proxy) into a `Proxy`: what several need is measured once."""

    def wrap(function: Callable[[nn.Module, Any], float]) -> Proxy:
        description = inspect.getdoc(function) or ""
        return Proxy(name or function.__name__, function, of.needs, of.cost, of=of, description=description)

    return wrap


@dataclass(frozen=True)
class Score:
    """What became of one proxy on one network.

    Attributes:
        value: the score; None if it failed.
        failure: `kind: what happened`; None if it did not fail.
        seconds: of wall time; proxies that follow from one measurement have its time each.
    """

    value: float | None
    failure: str | None
    seconds: float


def weights_of(net: nn.Module) -> list[Tensor]:
    """Weights of the convolutions and linear layers, shared ones once: what the pruning proxies sum over.

    Of a layer that computes its weight, as weight normalisation does, the parameters that it computes it from.

    Raises:
        ProxyFailure: there are none.
    """
    layers = [m for m in net.modules() if isinstance(m, (nn.modules.conv._ConvNd, nn.Linear))]
    weights = list({id(weight): weight for layer in layers for weight in _own_weights(layer)}.values())
    if not weights:
        raise ProxyFailure("no parameters", "the network has no convolution or linear layer with a weight")
    return weights


def _own_weights(layer: nn.Module) -> list[Tensor]:
    if isinstance(layer.weight, nn.Parameter):
        return [layer.weight]
    return [parameter for name, parameter in layer.named_parameters() if "bias" not in name]


def loss_of(net: nn.Module, x: Tensor, generator: torch.Generator, labels: Tensor | None) -> Tensor:
    """Mean cross-entropy of the logits against `labels`, or random ones."""
    logits = logits_of(net, x)
    if labels is None:
        labels = torch.randint(logits.shape[1], (len(x),), generator=generator, device=generator.device)
    return F.cross_entropy(logits, labels.to(x.device))


def gradients_of(output: Tensor, inputs: Iterable[Tensor], **options: Any) -> list[Tensor]:
    """`torch.autograd.grad`, with zeros for what `output` does not depend on.

    Raises:
        ProxyFailure: the network is not differentiable.
    """
    inputs = list(inputs)
    try:
        gradients = torch.autograd.grad(output, inputs, allow_unused=True, **options)
    except RuntimeError as error:
        raise ProxyFailure("not differentiable", str(error)) from error
    return [torch.zeros_like(t) if g is None else g for t, g in zip(inputs, gradients, strict=True)]


def at_least_two(x: Tensor) -> None:
    """Raises ProxyFailure unless a batch holds two images to compare."""
    if len(x) < 2:
        raise ProxyFailure("too few samples", f"at least 2 images are compared, got {len(x)}")
