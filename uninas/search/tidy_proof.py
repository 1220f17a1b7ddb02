"""The proof that a tidied network is the network it was: both are built, with the same weights, and compared.

Outputs in training and in use, and the gradients of all weights that remain, for the weights that training starts with
and for others. All is in double precision. Factors and shifts for each channel are not moved from 1 and 0, and their
gradients not compared: they are what one norm of two can take over from the other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..compiler import Network, build
from ..genotype import Genotype
from ..ops import Size
from .tidy_trials import BATCH, relative_difference

CLASSES = 10
SIDE = 64
"""Of the images, in pixels, where masks and the network's stride do not ask for another one."""
GRADIENTS = 100.0
"""Gradients may differ by more than outputs, by this factor: they add up what outputs pass on."""

Place = tuple[int, int, int]
"""Stage, block and sub-block, counted from 0."""


@dataclass(frozen=True)
class _Results:
    """What a network does with certain weights."""

    train: Tensor
    """Logits B x classes while training."""
    eval: Tensor
    """Logits B x classes in use."""
    gradients: dict[str, Tensor]
    """Of all weights of two or more dimensions, in single precision."""


class Proof:
    """Compares tidied networks with the one that they come from.

    Args:
        size: height and width in pixels for which masks were judged: they do the same at up to twice that.
        seeds: of weights and images.
    """

    def __init__(self, original: Genotype, size: Size, seeds: Sequence[int]) -> None:
        self.original = original
        self.cases = [(seed, moved) for seed in seeds for moved in (False, True)]
        side = max(SIDE, 2 * original.strides[-1])
        self.size = (min(side, 2 * size[0]), min(side, 2 * size[1]))
        self._expected: dict[tuple[int, bool], _Results] = {}

    def difference(self, tidied: Genotype, places: Sequence[Place]) -> float:
        """The largest relative difference; that of gradients is divided by GRADIENTS.

        Args:
            places: where each sub-block of `tidied`, in order, stands in the original.
        """
        network = _in_double(build(tidied, CLASSES, passes=()))
        names = _original_names(network, tidied, places)
        worst = 0.0
        for case in self.cases:
            original = self._original(*case)
            if case not in self._expected:
                self._expected[case] = self._run(original, case[0])
            expected = self._expected[case]
            weights = original.state_dict()
            network.load_state_dict({name: weights[theirs] for name, theirs in names.items()})
            found = self._run(network, case[0])
            gradients = {name: expected.gradients[names[name]] for name in found.gradients}
            worst = max(
                worst,
                relative_difference(expected.eval, found.eval),
                relative_difference(expected.train, found.train),
                _gradients_differ(gradients, found.gradients) / GRADIENTS,
            )
        return worst

    def _original(self, seed: int, moved: bool) -> Network:
        network = build(self.original, CLASSES, seed=seed, passes=())
        if moved:
            _move(network, torch.Generator().manual_seed(seed))
        return _in_double(network)

    def _run(self, network: Network, seed: int) -> _Results:
        """Runs a network on the images of a seed; its weights and running statistics stay as they are."""
        generator = torch.Generator().manual_seed(seed)
        images = torch.randn(BATCH, 3, *self.size, generator=generator, dtype=torch.float64)
        direction = torch.randn(BATCH, CLASSES, generator=generator, dtype=torch.float64)
        with torch.no_grad():
            used = network.eval()(images)
        trained = network.train()(images)
        weights = {name: weight for name, weight in network.named_parameters() if weight.dim() > 1}
        found = torch.autograd.grad((trained * direction).sum(), list(weights.values()), allow_unused=True)
        gradients = {name: torch.zeros(()) if one is None else one.float() for name, one in zip(weights, found)}
        return _Results(trained.detach(), used, gradients)


def _in_double(network: Network) -> Network:
    """The network in double precision, without dropout; its running statistics stay what they are."""
    for child in network.modules():
        if isinstance(child, nn.Dropout):
            child.p = 0.0
        if isinstance(child, nn.BatchNorm2d):
            child.momentum = 0.0
    return network.double()


@torch.no_grad()
def _move(network: Network, generator: torch.Generator) -> None:
    """Moves all weights away from where training starts, but factors of 1 and shifts of 0 for each channel."""
    for weight in network.parameters():
        drawn = torch.randn(weight.shape, generator=generator)
        if weight.dim() > 1:
            weight.add_(drawn, alpha=0.5 / math.sqrt(weight[0].numel()))
        elif not bool(((weight == 0) | (weight == 1)).all()):
            weight.copy_(1.0 + 0.3 * drawn)


def _original_names(network: Network, tidied: Genotype, places: Sequence[Place]) -> dict[str, str]:
    """The name in the original of every tensor of a tidied network."""
    prefixes = {
        f"stages.{i}.{j}.subblocks.{k}.": "stages.{}.{}.subblocks.{}.".format(*place)
        for ((i, j, k), _), place in zip(tidied.subblocks, places)
    }
    found = {}
    for name in network.state_dict():
        head, dot, tail = name.partition(".subblocks.")
        own = f"{head}{dot}{tail.partition('.')[0]}."
        found[name] = prefixes[own] + name.removeprefix(own) if dot else name
    return found


def _gradients_differ(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> float:
    """The largest difference of gradients against the largest one of the same weight, or, where that is next to
    nothing, against a millionth of the largest of all."""
    largest = max((float(gradient.abs().max()) for gradient in expected.values()), default=0.0)
    worst = 0.0
    for name, gradient in expected.items():
        difference = float((gradient - found[name]).abs().max())
        if difference:
            worst = max(worst, difference / max(float(gradient.abs().max()), 1e-6 * largest))
    return worst
