"""Spaces of choices: a fixed skeleton in which a few things are chosen, such as NAS-Bench-201 or MobileNetV2's stages.

A network is one option for each choice, a tuple of texts. Its genotype's `name` holds them in readable form, so that
any genotype of the space can be taken apart again:

    genotype  --encode-->  ("nor_conv_3x3", "none", ...)  --decode-->  genotype

A space says what the choices are, how the tuple is written as a name, and which network it stands for; how networks
vary, cross and meet limits is the same for all such spaces and written here.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from random import Random
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from ...errors import SpaceError, nearest
from ...genotype import Genotype
from ..limits import Limits
from .base import Proposal, Space
from .budget import Budget, Excess, nearer
from .default_proxy import DEFAULT_PROXY, ObjectiveName

Chosen = tuple[str, ...]
"""An option for each choice of a space, in the space's order."""

PLAIN_DRAWS = 30
"""Uniform draws that `sample` makes before it walks towards the limits."""
AIMED_STEPS = 50
"""Changes that it then tries towards a random part of what the limits leave open."""


@dataclass(frozen=True)
class Choice:
    """Something about a network that can be chosen."""

    name: str
    """What is chosen, such as `stages[2].width`."""
    options: tuple[str, ...]
    move: str
    """What changing it is called in a study, such as `change_width`."""
    weights: tuple[float, ...] | None = None
    """How often each option is drawn; None: all alike."""

    def draw(self, rng: Random, but: str | None = None) -> str:
        """A random option, another than `but`; that one where there is no other."""
        weights = self.weights or (1.0,) * len(self.options)
        found = [(option, weight) for option, weight in zip(self.options, weights) if option != but]
        options, weights = zip(*found or [(but, 1.0)])
        return rng.choices(options, weights)[0]


class ChoiceFile(BaseModel):
    """Keys that the files of all spaces of choices have."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str
    name: str = "unnamed"
    limits: Limits = Field(default_factory=Limits)
    """On cost, for every network of the space."""
    size_band: float | None = Field(None, gt=0, le=1)
    """The least of a cost against the most, where a user gives only the most; null: no least."""
    proxy: ObjectiveName = DEFAULT_PROXY
    """What guides a search unless its user names another."""
    starts: dict[str, str] = Field(default_factory=dict)
    """Networks to begin at, by name, each written as the `name` of its genotype."""
    attempts: int = Field(500, ge=1)
    """Networks that are looked at before `neighbour`, `sample`, `cross` or `repair` gives up."""


class ChoiceSpace(Space):
    """A space whose networks differ in named choices. Raises SpaceError where a start is not of the space."""

    choices: tuple[Choice, ...]

    def __init__(self, specification: ChoiceFile) -> None:
        self.specification = specification
        self.name = specification.name
        self.size_band = specification.size_band
        self.proxy = specification.proxy
        self.limits = specification.limits
        for start in self.starts:
            self.start(start)

    @abstractmethod
    def parse(self, text: str) -> Chosen:
        """The options that a genotype's name stands for. Raises SpaceError: not such a name; the message says where."""

    @abstractmethod
    def decode(self, chosen: Chosen) -> Genotype:
        """The network of an option for each choice; its `name` is what `parse` reads.

        Raises:
            SpaceError: the choices are no network together.
        """

    def draw(self, rng: Random) -> Chosen:
        """An option for each choice, uniform but for the options' weights; it need not be a network."""
        return tuple(choice.draw(rng) for choice in self.choices)

    def encode(self, genotype: Genotype) -> Chosen:
        """The options that a genotype was made from, read from its name.

        Raises:
            SpaceError: the genotype has no name, or its name is not of this space or of another network.
        """
        if not genotype.name:
            raise SpaceError(
                f"space {self.name!r} reads a network's choices from its name, and {genotype} has none; "
                "give it the name that it had in its file"
            )
        chosen = self.parse(genotype.name)
        if self.decode(chosen).key != genotype.key:
            raise SpaceError(f"the network is not the one of space {self.name!r} that its name says: {genotype.name}")
        return chosen

    @property
    def starts(self) -> Sequence[str]:
        return tuple(self.specification.starts)

    def start(self, name: str) -> Genotype:
        starts = self.specification.starts
        if name not in starts:
            hint = nearest(name, starts) if starts else "it has none, but can be sampled"
            raise SpaceError(f"space {self.name!r} has no start {name!r}; {hint}")
        try:
            return self.decode(self.parse(starts[name]))
        except SpaceError as error:
            raise SpaceError(f"starts.{name}: {error}") from None

    def check(self, genotype: Genotype, what: str = "the genotype") -> None:
        try:
            self.encode(genotype)
        except SpaceError as error:
            raise SpaceError(f"{what} is outside of space {self.name!r}: {error}") from None

    def neighbour(self, genotype: Genotype, rng: Random, limits: Limits | None = None) -> Proposal:
        """A genotype with one or two choices made anew, as in the published recipe of AZ-NAS and VKDNW."""
        before, budget = self.encode(genotype), Budget(limits, self.limits)
        missed = budget.excess(genotype)

        def change() -> tuple[Chosen, str]:
            count = min(rng.randint(1, 2), len(self.choices))
            places = sorted(rng.sample(range(len(self.choices)), count))
            after = self._redrawn(before, places, rng)
            return after, " + ".join(sorted({self.choices[i].move for i in places if after[i] != before[i]}))

        return self._search(change, {genotype.key}, budget, missed)

    def sample(self, rng: Random, limits: Limits | None = None) -> Genotype:
        """A genotype drawn uniformly over the options; where most of those break the limits, one walks towards them."""
        budget = Budget(limits, self.limits)
        drawn: list[tuple[float, Chosen]] = []
        goal = budget.aim(rng)
        for _ in range(self.specification.attempts):
            chosen = self.draw(rng)
            genotype = _decoded(self, chosen)
            if genotype is not None and not budget.excess(genotype):
                return genotype
            if genotype is not None:
                drawn.append((sum(goal.excess(genotype).values()), chosen))
            if len(drawn) == PLAIN_DRAWS:
                break
        if not drawn:
            raise SpaceError(f"no choices of space {self.name!r} drawn at random were a network; change its file")
        _, chosen = min(drawn)
        chosen, _ = self._walk(chosen, goal, rng, AIMED_STEPS)  # as far as it gets
        return self._within(chosen, budget, rng)

    def cross(self, mother: Genotype, father: Genotype, rng: Random, limits: Limits | None = None) -> Proposal:
        """A child that takes each choice from one of both, every one for itself or all behind a random place."""
        pair = self.encode(mother), self.encode(father)
        differing = [i for i, (one, other) in enumerate(zip(*pair)) if one != other]
        if len(differing) < 2:
            raise SpaceError(f"nothing to cross in space {self.name!r}: the parents differ in {len(differing)} choices")

        def mix() -> tuple[Chosen, str]:
            if rng.random() < 0.5:
                sides = [rng.randrange(2) for _ in self.choices]
            else:
                cut, first = rng.choice(differing[1:]), rng.randrange(2)
                sides = [first if i < cut else 1 - first for i in range(len(self.choices))]
            return tuple(pair[side][i] for i, side in enumerate(sides)), "cross"

        return self._search(mix, {mother.key, father.key}, Budget(limits, self.limits), {})

    def repair(self, genotype: Genotype, limits: Limits, rng: Random) -> Genotype:
        budget, chosen = Budget(limits, self.limits), self.encode(genotype)
        return self._within(chosen, budget, rng) if budget.excess(genotype) else genotype

    def fingerprint(self) -> dict[str, Any]:
        return self.specification.model_dump(mode="json")

    def checked(self, options: Sequence[str], text: str) -> Chosen:
        """The options, each one of its choice's. Raises SpaceError that names the choice, and `text` around it."""
        for choice, option in zip(self.choices, options):
            if option not in choice.options:
                raise SpaceError(f"{text!r}: {choice.name} has no {option!r}; {nearest(option, choice.options)}")
        return tuple(options)

    def _redrawn(self, chosen: Chosen, places: Sequence[int], rng: Random) -> Chosen:
        """The same options, those at `places` drawn anew."""
        found = list(chosen)
        for i in places:
            found[i] = self.choices[i].draw(rng, but=chosen[i])
        return tuple(found)

    def _search(
        self, make: Callable[[], tuple[Chosen, str]], known: set[str], budget: Budget, missed: Excess
    ) -> Proposal:
        """The first network of `make` with another key than the `known` that misses no bound, or less than `missed`."""
        refused: Counter[str] = Counter()
        costly = 0
        for _ in range(self.specification.attempts):
            chosen, move = make()
            genotype = _decoded(self, chosen)
            if genotype is None:
                refused["no network"] += 1
            elif genotype.key in known:
                refused["nothing changed"] += 1
            elif not nearer(excess := budget.excess(genotype), missed):
                refused.update(list(excess))
                costly += 1
            else:
                return Proposal(genotype, move, costly)
        reasons = ", ".join(f"{name} ({count} times)" for name, count in refused.most_common(4))
        raise SpaceError(
            f"nothing found in {self.specification.attempts} attempts in space {self.name!r} under {budget}; "
            f"in the way: {reasons}"
        )

    def _walk(self, chosen: Chosen, budget: Budget, rng: Random, steps: int) -> tuple[Chosen, Excess]:
        """Single changes, none of which leads further from the bounds, until they are met or `steps` were tried.

        Returns the last options, and what they still miss.
        """
        missed = budget.excess(self.decode(chosen))
        for _ in range(steps):
            if not missed:
                break
            changed = self._redrawn(chosen, [rng.randrange(len(chosen))], rng)
            genotype = _decoded(self, changed)
            if genotype is not None and sum((excess := budget.excess(genotype)).values()) <= sum(missed.values()):
                chosen, missed = changed, excess
        return chosen, missed

    def _within(self, chosen: Chosen, budget: Budget, rng: Random) -> Genotype:
        """The network at the end of a walk to the bounds. Raises SpaceError."""
        steps = self.specification.attempts
        chosen, missed = self._walk(chosen, budget, rng, steps)
        if missed:
            raise SpaceError(
                f"no network of space {self.name!r} found under {budget} in {steps} attempts; "
                f"in the way: {', '.join(missed)}; change the limits"
            )
        return self.decode(chosen)


@lru_cache(maxsize=4096)  # a walk meets the same networks again and again
def _decoded(space: ChoiceSpace, chosen: Chosen) -> Genotype | None:
    """The network of the options; None where they are none together."""
    try:
        return space.decode(chosen)
    except SpaceError:
        return None
