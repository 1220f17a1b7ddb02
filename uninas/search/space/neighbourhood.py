"""One step through a space of graphs: random moves until one gives a new, valid, affordable genotype."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from random import Random

from ...errors import GenotypeError, SpaceError
from ...genotype import Genotype
from ..limits import Limits
from .base import Proposal
from .bounds import describe, faults
from .budget import Budget, nearer
from .moves import MOVES, Surroundings
from .specification import GraphSpecification


def neighbour(
    specification: GraphSpecification,
    space: Surroundings,
    genotype: Genotype,
    rng: Random,
    limits: Limits | None = None,
) -> Proposal:
    """A valid genotype one move away from `genotype`, with another key.

    Args:
        genotype: any genotype; it need not be inside the space. What it breaks of the space's bounds, the child may
            break as much; what it breaks of the limits on cost, the child breaks by less.
        limits: on cost, besides those of the space.

    Raises:
        SpaceError: nothing was found in `specification.attempts` edits; the message says what stood in the way.
    """
    budget = Budget(limits, specification.limits)
    refused: Counter[str] = Counter()
    for expensive, (child, move) in enumerate(_edits(specification, space, genotype, rng, refused)):
        missed = budget.excess(child)
        if not missed or nearer(missed, budget.excess(genotype)):
            return Proposal(child, move, expensive)
        refused.update(list(missed))
    reasons = ", ".join(f"{name} ({count} times)" for name, count in refused.most_common(4))
    where = f" under {budget}" if budget.limits else ""
    raise SpaceError(
        f"no neighbour found in {specification.attempts} edits in space {specification.name!r}{where}; "
        f"in the way: {reasons}"
    )


def _edits(
    specification: GraphSpecification, space: Surroundings, genotype: Genotype, rng: Random, refused: Counter[str]
) -> Iterator[tuple[Genotype, str]]:
    """Children within the space's own bounds and the names of their moves; at most `attempts` tries."""
    names = [name for name in MOVES if specification.moves.get(name)]
    weights = [specification.moves[name] for name in names]
    for _ in range(specification.attempts):
        move = rng.choices(names, weights)[0]
        try:
            child = MOVES[move](genotype, space, rng)
        except GenotypeError:  # the edit does not fit the shapes around it
            child = None
        if child is None:
            refused["no place for the move"] += 1
            continue
        broken = next(faults(specification.limits, child, specification.attention_indices, genotype), None)
        if broken is not None:
            refused[describe(broken[1])] += 1
        elif child.key == genotype.key:
            refused["nothing changed"] += 1
        else:
            yield child, move
