"""Tidying: a found network without what it does not need.

A search leaves behind what no score can see: dropouts, a norm behind a norm, ReLU behind ReLU, a factor of 1 that the
convolution beside it could learn, masks as wide as the map. Found networks are read, trained and deployed by people: at
the end every node is taken out whose removal changes neither what the network computes nor what it was chosen for.

    tidy_parts      what could be cut out of a sub-block
    tidy_trials     which cuts change nothing there, judged by running it
    tidy_subblock   one sub-block after all such cuts
    tidy_proof      the network after them is the network before them

Then the caller is asked whether it is still as good (`keeps`). All that can go is taken out at once and checked once;
where that is refused, halves of it are tried, down to single nodes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, replace

from ..errors import GenotypeError
from ..genotype import Block, Genotype, SubBlock, cost, cost_parts
from ..ops import Size, make
from .tidy_parts import Cut
from .tidy_proof import Place, Proof
from .tidy_subblock import Context, Link, find_links, last_op


@dataclass(frozen=True)
class Removal:
    """One thing that was taken out."""

    where: str
    """Its place in the network as it was: `stages[2].blocks[0].subblocks[1].graph: layer_norm_2`."""
    what: str
    """The operation, and what was there for it alone: `add (with conv, gelu)`; or `subblock`, `norm of the sub-block`,
    `residual of the sub-block`, `activation of the sub-block`, `input 2 of add`."""
    params: int
    """Parameters (scalars) that went with it."""
    macs: int
    """Multiply-adds of one image that went with it."""
    difference: float
    """Largest relative difference of outputs that was seen with and without it."""


def tidy(
    genotype: Genotype,
    *,
    keeps: Callable[[Genotype], bool] = lambda genotype: True,
    size: int | Size = 224,
    seeds: Sequence[int] = (0, 1),
    tolerance: float = 1e-4,
) -> tuple[Genotype, list[Removal]]:
    """The network without the nodes that change nothing, and what they were. Deterministic; done twice, it changes
    nothing the second time.

    A node goes if the sub-block computes the same without it for any weights, as far as random ones can tell. What has
    weights of its own goes if the layers beside it can learn the same: a norm next to a norm that leaves it nothing to
    normalise is nothing at first, and its factors and shifts are those of the other norm; a layer scale of 1 is part of
    the convolution or norm next to it. Dropout goes always: whether to drop is for those to say who train. Stem,
    downsampling and head stay as they are.

    Args:
        keeps: whether a network that computes the same is as good for what it was chosen for (its objective, within
            the error; limits on cost). May be expensive: it is asked once for all, and again only where it says no.
        size: side of the image in pixels, or height and width, for which MACs are counted. A mask does nothing if it
            does nothing on an image of twice that.
        seeds: of the random weights and inputs that networks are compared on.
        tolerance: largest relative difference of outputs, from the `eps` of norms; other nodes make none at all.

    Raises:
        GenotypeError: an argument is not valid, or the network cannot take an image of `size`.
    """
    height_width = _checked(genotype, size, seeds, tolerance)
    work = _Work(genotype, height_width, tuple(seeds), tolerance)
    proof = Proof(genotype, height_width, seeds)
    answers: dict[str, bool] = {genotype.key: True}

    def holds(state: _State) -> bool:
        tidied = work.assemble(state)
        if tidied.key not in answers:
            answers[tidied.key] = proof.difference(tidied, list(state)) <= tolerance and keeps(tidied)
        return answers[tidied.key]

    state: _State = dict(genotype.subblocks)
    done, refused, progress = list[_Step](), set[_Choice](), False
    while True:
        steps, after = work.reduce(state, refused)
        if steps:
            accepted, state = _settle(work, state, steps, after, holds, refused)
            done, progress = done + accepted, progress or bool(accepted)
        elif refused and progress:  # what was refused may be welcome now that other things are gone
            refused, progress = set(), False
        else:
            break
    return (work.assemble(state), work.removals(done)) if done else (genotype, [])


def _checked(genotype: Genotype, size: int | Size, seeds: Sequence[int], tolerance: float) -> Size:
    """The size as height and width, all arguments being valid."""
    if not isinstance(genotype, Genotype):
        message = f"expected a Genotype, got {type(genotype).__name__}; Genotype.load reads a file"
        raise GenotypeError(message, "genotype")
    if not seeds or any(type(seed) is not int for seed in seeds):
        raise GenotypeError(f"expected at least one whole number, got {seeds!r}", "seeds")
    if isinstance(tolerance, bool) or not isinstance(tolerance, (int, float)) or not 0 < tolerance < 1:
        raise GenotypeError(f"expected a number between 0 and 1, such as 1e-4, got {tolerance!r}", "tolerance")
    return cost(genotype, size).input_size


_State = Mapping[Place, SubBlock]
"""The sub-blocks that are left, by their place in the original network."""
_Choice = tuple[Place, Cut]


@dataclass(frozen=True)
class _Step:
    """A cut at a place."""

    place: Place
    link: Link

    @property
    def choice(self) -> _Choice:
        return self.place, self.link.cut


def _settle(
    work: _Work,
    state: _State,
    steps: Sequence[_Step],
    after: _State,
    holds: Callable[[_State], bool],
    refused: set[_Choice],
) -> tuple[list[_Step], _State]:
    """As many of the steps as `holds` agrees to, and what is left then.

    Args:
        after: what is left after all of the steps.
        refused: receives what `holds` does not agree to even alone.
    """
    if not steps or holds(after):
        return list(steps), after
    if len(steps) == 1:
        refused.add(steps[0].choice)
        return [], state
    half, accepted = len(steps) // 2, list[_Step]()
    for some in (steps[:half], steps[half:]):  # judged anew: without some cuts, others may not be possible
        possible, after = work.reduce(state, refused, only={step.choice for step in some})
        more, state = _settle(work, state, possible, after, holds, refused)
        accepted += more
    return accepted, state


class _Work:
    """The network while it is tidied: what can be cut out of which sub-block, and what is left then."""

    def __init__(self, genotype: Genotype, size: Size, seeds: tuple[int, ...], tolerance: float) -> None:
        self.genotype, self.size, self.seeds, self.tolerance = genotype, size, seeds, tolerance
        double = (2 * size[0], 2 * size[1])
        self.extents = [after for part, _, after in cost_parts(genotype, double, 0) if part.endswith(".blocks[0]")]
        self._known: dict[tuple, list[Link]] = {}  # the same sub-block often stands in many places

    def assemble(self, state: _State) -> Genotype:
        """The network of the sub-blocks that are left."""
        stages = []
        for i, stage in enumerate(self.genotype.stages):
            blocks: dict[int, list[SubBlock]] = {}
            for (at, j, _), sub in state.items():
                if at == i:
                    blocks.setdefault(j, []).append(sub)
            stages.append(replace(stage, blocks=tuple(Block(tuple(subs)) for subs in blocks.values())))
        return replace(self.genotype, stages=tuple(stages))

    def reduce(
        self, state: _State, refused: Set[_Choice], only: Set[_Choice] | None = None
    ) -> tuple[list[_Step], _State]:
        """All cuts that change nothing when made in this order, and what is left then.

        Args:
            refused: cuts not to make.
            only: the cuts to choose from; None for all.
        """
        steps: list[_Step] = []
        for place in list(state):
            barred = frozenset(cut for where, cut in refused if where == place)
            chosen = None if only is None else frozenset(cut for where, cut in only if where == place)
            for link in self._links(state[place], self._context(state, place), barred, chosen):
                steps.append(_Step(place, link))
                state = _with(state, steps[-1])
        return steps, state

    def removals(self, steps: Sequence[_Step]) -> list[Removal]:
        """What the steps took out, in the order of the network."""
        state: _State = dict(self.genotype.subblocks)
        before = cost(self.genotype, self.size)
        found: list[tuple[Place, Removal]] = []
        for step in steps:
            state = _with(state, step)
            after = cost(self.assemble(state), self.size)
            where = "stages[{}].blocks[{}].subblocks[{}]".format(*step.place)
            if not step.link.whole:
                where = f"{where}.graph: {step.link.cut.node}"
            gone = before.params - after.params, before.macs - after.macs
            found.append((step.place, Removal(where, step.link.what, *gone, step.link.difference)))
            before = after
        return [removal for _, removal in sorted(found, key=lambda item: item[0])]

    def _links(
        self, sub: SubBlock, context: Context, barred: frozenset[Cut], only: frozenset[Cut] | None
    ) -> list[Link]:
        """The cuts in one sub-block that change nothing, each after the ones before it."""
        graph = sub.graph
        written = (*graph.ops.items(), *graph.sources.items(), sub.norm, sub.residual, sub.activation)
        key = (written, context, barred, only)
        if key not in self._known:
            self._known[key] = find_links(sub, context, self.seeds, self.tolerance, barred, only)
        return self._known[key]

    def _context(self, state: _State, place: Place) -> Context:
        i, j, k = place
        stage = self.genotype.stages[i]
        here = [other for other in state if other[0] == i]
        previous = here[here.index(place) - 1] if here[0] != place else None
        if previous is not None:
            before = last_op(state[previous], stage.width)
        else:
            before = make("batch_norm") if stage.downsample.kind in ("conv", "project") else None
        downsamples = stage.downsample.inside and j == k == 0
        return Context(stage.width, downsamples, before, self.extents[i], optional=len(here) > 1 and not downsamples)


def _with(state: _State, step: _Step) -> _State:
    """The state after a step."""
    if step.link.after is None:
        return {place: sub for place, sub in state.items() if place != step.place}
    return {**state, step.place: step.link.after}
