"""Per-sample derivatives of the logits with respect to a few scalars of the weights, without weight gradients.

Adding a perturbation eps[n, p] to scalar p for sample n alone changes, to first order, only the output of the module
that owns the scalar: out[n] + eps[n, p] * d[n], with d = d out / d theta_p at a fixed input. Hence

    d z[n] / d theta_p = sum over the output's elements of (d z[n] / d out[n]) * d[n] .

So the weights are frozen, the forward pass notes d at each such module (a *tap*), and a backward pass that carries
gradients between activations only is read at the taps. All samples share each pass, as no sample sees another, and
behind the last tap all cotangents do.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, Node, get_gradient_edge

from uninas.proxies.failures import ProxyFailure, logits_of
from uninas.proxies.fisher.derivatives import Derivative, derivative
from uninas.proxies.fisher.dominator import dominator_edge
from uninas.proxies.fisher.locate import Taps, first_elements

PIXELS = 2**20
"""Of the images whose gradients go back side by side behind the last tap: 256 of 64 x 64."""


class ScalarJacobian:
    """The forward pass of `net` on `x`, ready to be differentiated with respect to P scalars of its weights.

    Args:
        net: a classifier in eval mode, its parameters frozen.
        x: B x C_in x H x W.
        taps: where the scalars act, from `locate.locate_parameters`.
        scalars: P.

    Attributes:
        logits: B x C.
        chunk: how many cotangents `pull_back` takes best at a time.
        missed: modules among the taps that the forward pass did not call.

    Raises:
        ProxyFailure: the output is not B x C with finite values, or a tapped module has no batch dimension.
    """

    def __init__(self, net: nn.Module, x: Tensor, taps: Taps, scalars: int) -> None:
        self.batch, self.scalars = len(x), scalars
        self.missed = set(taps)
        self._names = {module: name for name, module in net.named_modules()}
        self._roots: list[Tensor] = []
        self._tapped: set[Node] = set()
        self._readings = _Readings(self.batch)
        self._at_rest = False
        handles = [module.register_forward_hook(partial(self._tap, taps[module]), with_kwargs=True) for module in taps]
        try:
            self._output = logits_of(net, x)
        finally:
            for handle in handles:
                handle.remove()
        self.logits = self._output.detach()
        self.chunk = max(1, PIXELS // (self.batch * x.shape[2] * x.shape[3]))
        self._vectorized = True
        self._narrow = dominator_edge(self._output, self._tapped) if self._roots else None

    def pull_back(self, cotangents: Tensor, *, vectorized: bool = False) -> Tensor:
        """Products of cotangents with the Jacobian.

        Args:
            cotangents: K x B x C.
            vectorized: all K go back together all the way, not only behind the last tap. On a CPU that takes more
                memory and gains no time.

        Returns:
            K x B x P: sum over c of cotangents[k, n, c] * d z[n, c] / d theta_p.
        """
        if not self._roots:
            return cotangents.new_zeros(len(cotangents), self.batch, self.scalars)
        if vectorized and self._vectorized:
            try:
                return self._all_vectorized(cotangents)
            except RuntimeError:  # a layer whose backward pass vmap does not know; an error of its own will come again
                self._vectorized = False
        end, gradients = self._through_tail(cotangents)
        return torch.stack([self._to_taps(end, gradient) for gradient in gradients])

    def _all_vectorized(self, cotangents: Tensor) -> Tensor:
        self._readings.relayout = False
        try:
            return torch.vmap(partial(self._to_taps, self._output))(cotangents)
        finally:
            self._readings.take()  # what a pass that failed has left
            self._readings.relayout = True

    def _through_tail(self, cotangents: Tensor) -> tuple[Tensor | GradientEdge, Tensor]:
        """The last place before the taps where gradients are in one tensor, and they: K x the shape of that tensor."""
        if self._narrow is None or len(cotangents) == 1:
            return self._output, cotangents
        try:
            (gradients,) = torch.autograd.grad(
                self._output, self._narrow, cotangents, retain_graph=True, is_grads_batched=True
            )
        except RuntimeError:  # as above
            self._narrow = None
            return self._output, cotangents
        return self._narrow, gradients

    def _to_taps(self, end: Tensor | GradientEdge, gradient: Tensor) -> Tensor:
        torch.autograd.grad(end, self._roots, gradient, retain_graph=True, allow_unused=True)
        sums, nothing = self._readings.take(), gradient.new_zeros(self.batch)
        return torch.stack([sums.get(p, nothing) for p in range(self.scalars)], dim=-1)

    def _tap(self, places: Sequence[tuple[int, str]], module: nn.Module, args: tuple, kwargs: dict, out: Any) -> Any:
        if self._at_rest:  # the module is being differentiated by itself
            return None
        self._at_rest = True
        self.missed.discard(module)
        try:
            found = [(p, derivative(module, name, args, kwargs, out)) for p, name in places]
        finally:
            self._at_rest = False
        columns = [(p, d) for p, d in found if d is not None]
        out = self._per_sample(module, out)
        if columns:
            channels_last = out.dim() == 4 and out.is_contiguous(memory_format=torch.channels_last)
            out.register_hook(partial(self._readings.add, columns, channels_last))
            self._tapped.add(get_gradient_edge(out).node)
        return out

    def _per_sample(self, module: nn.Module, out: Tensor) -> Tensor:
        """`out` as a part of the graph in which every sample has its own entries."""
        if len(out) == 1 and self.batch > 1:
            out = out.expand(self.batch, *out.shape[1:])
        if len(out) % self.batch:
            raise ProxyFailure(
                "samples mixed",
                f"the output of {self._names[module] or 'the network'} has shape {tuple(out.shape)}, whose first "
                f"dimension does not hold the {self.batch} samples; use jacobian='autograd' for this network",
            )
        if not out.requires_grad:
            root = out.detach().requires_grad_()
            self._roots.append(root)
            self._tapped.add(get_gradient_edge(root).node)
            out = root.clone()  # the network may go on to change it in place, which a leaf does not allow
        # After a change in place, gradients of a view go to its base and past the view's hooks.
        return out.clone() if out._is_view() else out


class _Readings:
    """What a backward pass has told so far. Hooks own it and not the Jacobian: that would keep the graph alive."""

    def __init__(self, batch: int) -> None:
        self._batch = batch
        self.relayout = True  # vmap knows no memory formats
        self._sums: dict[int, Tensor] = {}

    def add(self, columns: Sequence[tuple[int, Derivative]], channels_last: bool, gradient: Tensor) -> Tensor:
        """Adds the products of a module's output gradient with the derivatives of that output.

        Returns:
            The gradient, channels-last if the output is: where they differ, all that comes before would be slow.
        """
        if channels_last and self.relayout:
            gradient = gradient.contiguous(memory_format=torch.channels_last)
        for p, (index, values) in columns:
            product = (gradient[index] * values).reshape(self._batch, -1).sum(1)
            self._sums[p] = self._sums[p] + product if p in self._sums else product
        return gradient

    def take(self) -> dict[int, Tensor]:
        """The sums by scalar, each of B samples; the next pass starts afresh."""
        sums, self._sums = self._sums, {}
        return sums


class AutogradJacobian:
    """The same products by plain autograd, one sample and one cotangent at a time: slow, and the reference.

    Each sample goes through twice, as in `locate.locate_parameters`.

    Args:
        net: a classifier in eval mode, its parameters frozen.
        x: B x C_in x H x W.
        parameters: P, each selected for its element 0.
    """

    def __init__(self, net: nn.Module, x: Tensor, parameters: Sequence[nn.Parameter]) -> None:
        self._net, self._x, self._parameters = net, x, parameters
        self.chunk, self.missed = 1, set[nn.Module]()
        with torch.no_grad():
            self.logits = torch.cat([logits_of(net, torch.stack([sample, sample]))[:1] for sample in x])

    def pull_back(self, cotangents: Tensor, *, vectorized: bool = False) -> Tensor:
        """K x B x C -> K x B x P, as `ScalarJacobian.pull_back`."""
        for parameter in self._parameters:
            parameter.requires_grad_(True)
        try:
            rows = [self._sample_rows(sample, v) for sample, v in zip(self._x, cotangents.unbind(1), strict=True)]
        finally:
            for parameter in self._parameters:
                parameter.requires_grad_(False)
        return torch.stack(rows, 1)

    def _sample_rows(self, sample: Tensor, cotangents: Tensor) -> Tensor:
        logits = logits_of(self._net, torch.stack([sample, sample]))
        if not logits.requires_grad:
            return sample.new_zeros(len(cotangents), len(self._parameters))
        rows = []
        for v in cotangents / 2:
            gradients = torch.autograd.grad(
                logits, self._parameters, v.expand_as(logits), retain_graph=True, allow_unused=True
            )
            rows.append(first_elements(gradients, like=sample))
        return torch.stack(rows)
