"""Does what a search finds train better than what it started from, and than what random search finds?

    python benchmarks/proof.py --data-root /usr/share/datasets/fashion-mnist --out runs/proof    # hours on two cores
    python benchmarks/proof.py --space uninas --max-params 30M --max-macs 5G --input-size 224 --classes 1000 \\
        --multiple 32 --protocol imagenet --race-protocol imagenet_quick --rungs 1,3,9 --data-root IMAGENET \\
        --ray auto --gpus-per-worker 1 --workers 8 --out runs/proof_imagenet

All networks have between .95 of the most parameters and of the most MACs and the most itself:

- the hand-made starts of the space, their widths and depths changed until they fit, and nothing else;
- for each of `--searches` seeds, the best by score of random search and of the default search, both with as many
  evaluations, begun at the hand-made networks;
- the winner of a race in which the best of all those default searches meet, and of one among the best of the random
  searches, which says what the race alone gives.

All are trained by one protocol with the same `--seeds` seeds, which no race has used. Everything is kept in `--out`:
the same command goes on after an interruption. It prints and writes `proof.md` and `proof.json`.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console

from uninas.blocks.equal_size import of_equal_size
from uninas.cli import fail
from uninas.cli.progress import ProgressLog
from uninas.engine import protocol as protocols
from uninas.engine.check import check
from uninas.engine.race import RaceConfig, race
from uninas.engine.race.halving import scatter
from uninas.engine.settings import Classification
from uninas.engine.tabulate import TableFolder
from uninas.engine.tabulate.draw import Drawn
from uninas.engine.tabulate.run import complete
from uninas.engine.training_scorer import TrainingScorer
from uninas.errors import StudyError, UninasError
from uninas.genotype import Genotype, cost
from uninas.proxies import split_names
from uninas.search import SearchConfig, Space, search
from uninas.search.executors import make_executor
from uninas.units import format_count, parse_count

LEAST = 0.95
"""Of the most parameters and MACs that all networks have at least."""
FIRST_SEED = 100
"""Of the trainings that are compared; races use seeds from 0."""
KNOWN = "hand-made"
KINDS = RANDOM, RANDOM_RACE, SCORE, RACE = "random", "random + race", "score", "score + race"
err = Console(stderr=True)


@dataclass(frozen=True)
class Contender:
    """A network and what it reached."""

    kind: str
    name: str
    key: str
    params: int
    macs: int
    accuracies: list[float]
    """Percent, by seed."""

    @property
    def mean(self) -> float:
        return statistics.fmean(self.accuracies)


def spans(arguments: argparse.Namespace) -> dict[str, tuple[int, int]]:
    """Fewest and most of each cost."""
    most = {"params": arguments.max_params, "macs": arguments.max_macs}
    return {name: (math.ceil(LEAST * value), value) for name, value in most.items()}


def known(arguments: argparse.Namespace) -> Iterator[tuple[str, Genotype]]:
    """The starts of the space at the common size."""
    space, span = Space.load(arguments.space), spans(arguments)
    for name in space.starts:
        path = arguments.out / "known" / f"{name}.yaml"
        if not path.is_file():
            size = arguments.input_size, arguments.classes
            fitted = of_equal_size(name, space.start(name), span["params"], span["macs"], *size, arguments.multiple)
            path.parent.mkdir(parents=True, exist_ok=True)
            fitted.save(path)
        yield name, Genotype.load(path)


def searched(arguments: argparse.Namespace, strategy: str, seed: int) -> Path:
    """The folder of a search, which is run, or continued, when it has not ended."""
    folder = arguments.out / f"{strategy}-{seed}"
    if (folder / "summary.json").is_file():
        return folder
    bounds = {
        f"{side}_{name}": value for name, span in spans(arguments).items() for side, value in zip(("min", "max"), span)
    }
    settings = {
        "out": folder,
        "space": arguments.space,
        "start": tuple(str(arguments.out / "known" / f"{name}.yaml") for name in Space.load(arguments.space).starts),
        "strategy": strategy,
        "strategy_settings": json.loads(arguments.strategy_settings) if strategy == arguments.strategy else {},
        "iterations": arguments.iterations,
        "seed": seed,
        "input_size": arguments.input_size,
        "num_classes": arguments.classes,
        "workers": arguments.workers,
        "ray": arguments.ray,
        "gpus_per_worker": arguments.gpus_per_worker,
        "resume": (folder / "study.sqlite").is_file(),
        **bounds,
        **({"proxy": arguments.proxy} if arguments.proxy else {}),
        **({"proxy_size": arguments.proxy_size} if arguments.proxy_size else {}),
    }
    with ProgressLog(err, f"{strategy}, seed {seed}") as log:
        search(SearchConfig.parse(settings), lambda state: log.update(state.done, state.total))
    return folder


def raced(arguments: argparse.Namespace, strategy: str, studies: Sequence[Path]) -> Genotype:
    """The winner of a race among the best of all searches by a strategy."""
    folder = arguments.out / f"{strategy}-race"
    if not (folder / "race.json").is_file():
        config = RaceConfig.parse(
            {
                "studies": studies,
                "protocol": arguments.race_protocol or arguments.protocol,
                "data_root": arguments.data_root,
                "top": arguments.top,
                "rungs": arguments.rungs,
                "repeats": arguments.repeats,
                "workers": arguments.workers,
                "ray": arguments.ray,
                "gpus_per_worker": arguments.gpus_per_worker,
            }
        )
        with ProgressLog(err, f"race of {strategy}") as log:
            race(config, folder, lambda state: log.update(state.done, state.total, note=f", {state.epochs} epochs"))
    return Genotype.load(folder / "best.yaml")


def contenders(arguments: argparse.Namespace) -> Iterator[tuple[str, str, Genotype]]:
    """(kind, name, network) of all that are trained; searches and races run as they are needed."""
    for name, genotype in known(arguments):
        yield KNOWN, name, genotype
    seeds = range(arguments.first_search, arguments.first_search + arguments.searches)
    for strategy, by_score, by_race in (("random", RANDOM, RANDOM_RACE), (arguments.strategy, SCORE, RACE)):
        if not {by_score, by_race} & set(arguments.kinds):
            continue
        studies = [searched(arguments, strategy, seed) for seed in seeds]
        if by_score in arguments.kinds:
            for seed, study in zip(seeds, studies):
                yield by_score, f"{strategy} {seed}", Genotype.load(study / "best.yaml")
        if by_race in arguments.kinds:
            yield by_race, f"{strategy}, race", raced(arguments, strategy, studies)


def trained(arguments: argparse.Namespace) -> list[Contender]:
    """All contenders, trained."""
    plan = protocols.load(arguments.protocol)
    if not isinstance(plan, Classification):
        raise StudyError(f"--protocol {arguments.protocol}: is not for classification")
    check(plan, arguments.data_root)
    table, found = TableFolder(arguments.out / "trained"), []
    scorer = TrainingScorer(arguments.protocol, str(arguments.data_root))
    executor = make_executor(scorer, arguments.workers, None, arguments.ray, arguments.gpus_per_worker)
    try:
        table.folder.mkdir(parents=True, exist_ok=True)
        for kind, name, genotype in contenders(arguments):
            found.append((kind, name, genotype))
            drawn = Drawn(genotype, kind, name, 0)
            wanted = [(drawn, FIRST_SEED + n) for n in range(arguments.seeds)]
            with ProgressLog(err, f"training {name}") as log:
                complete(table, wanted, plan, executor, lambda state: log.update(state.done, state.total))
    finally:
        executor.close()
    results = {(row.key, row.seed): row.accuracy for row in table.rows()}
    return [contender(arguments, kind, name, genotype, results) for kind, name, genotype in found]


def contender(
    arguments: argparse.Namespace,
    kind: str,
    name: str,
    genotype: Genotype,
    results: dict[tuple[str, int], float | None],
) -> Contender:
    """A network with its results. Raises StudyError where a training failed."""
    reached = [results.get((genotype.key, FIRST_SEED + n)) for n in range(arguments.seeds)]
    accuracies = [accuracy for accuracy in reached if accuracy is not None]
    if len(accuracies) < arguments.seeds:
        raise StudyError(
            f"{arguments.out / 'trained'}: a training of {name} ({genotype.key[:12]}) failed; see results.csv"
        )
    counted = cost(genotype, arguments.input_size, arguments.classes)
    return Contender(kind, name, genotype.key, counted.params, counted.macs, accuracies)


def report(found: list[Contender]) -> tuple[str, dict]:
    """A table in Markdown, and the same as data."""
    squares, freedom = scatter(one.accuracies for one in found)
    spread = math.sqrt(squares / freedom)
    error = spread / math.sqrt(len(found[0].accuracies))
    best = max((one for one in found if one.kind == KNOWN), key=lambda one: one.mean)
    lines = [
        f"| | | parameters | MACs | mean of {len(best.accuracies)} seeds | lead over {best.name} | in its errors |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in found:
        lead = one.mean - best.mean
        errors = "" if one is best else f"{lead / (error * math.sqrt(2)):+.1f}"
        size = f"{format_count(one.params)} | {format_count(one.macs)}"
        lines.append(f"| {one.kind} | {one.name} | {size} | {one.mean:.2f} | {lead:+.2f} | {errors} |")
    lines.append("")
    kinds = {}
    for kind in dict.fromkeys(one.kind for one in found):
        means = [one.mean for one in found if one.kind == kind]
        deviation = statistics.stdev(means) if len(means) > 1 else math.nan
        kinds[kind] = {"networks": len(means), "mean": statistics.fmean(means), "deviation": deviation}
    lines += [
        "| | networks | mean of their means | standard deviation between them | least | most |",
        "|---|---|---|---|---|---|",
    ]
    for kind, values in kinds.items():
        means = [one.mean for one in found if one.kind == kind]
        apart = "" if math.isnan(values["deviation"]) else f"{values['deviation']:.2f}"
        lines.append(
            f"| {kind} | {len(means)} | {values['mean']:.2f} | {apart} | {min(means):.2f} | {max(means):.2f} |"
        )
    lines += ["", f"Standard deviation between seeds of a network, pooled: {spread:.2f}; of its mean: {error:.2f}."]
    data = {"contenders": [asdict(one) for one in found], "kinds": kinds, "seed_deviation": spread}
    return "\n".join(lines) + "\n", data


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--protocol", default="tiny_fashion")
    parser.add_argument("--race-protocol", default="", help="default: --protocol")
    parser.add_argument("--space", default="uninas_tiny")
    parser.add_argument("--max-params", type=parse_count, default=600_000)
    parser.add_argument("--max-macs", type=parse_count, default=20_000_000)
    parser.add_argument("--input-size", type=int, default=32)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--multiple", type=int, default=16, help="widths of the hand-made networks are multiples of it")
    parser.add_argument("--seeds", type=int, default=5, help="trainings of each network")
    parser.add_argument("--searches", type=int, default=5, help="seeds of each kind of search")
    parser.add_argument("--first-search", type=int, default=0, help="the first of these seeds")
    parser.add_argument("--kinds", type=split_names, default=KINDS, help=f"of: {', '.join(KINDS)}")
    parser.add_argument("--iterations", type=int, default=128)
    parser.add_argument("--strategy", default="walk")
    parser.add_argument("--strategy-settings", default="{}", help="of --strategy, as JSON")
    parser.add_argument("--proxy", default="", help="default: that of `uninas search`")
    parser.add_argument("--proxy-size", type=int, default=0, help="default: that of `uninas search`")
    parser.add_argument("--top", type=int, default=20, help="networks of a race")
    parser.add_argument("--rungs", default="1")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--ray", default=None)
    parser.add_argument("--gpus-per-worker", type=float, default=0)
    arguments = parser.parse_args(words)
    if unknown := set(arguments.kinds) - set(KINDS):
        parser.error(f"--kinds: there is no {unknown.pop()!r}; choose from: {', '.join(KINDS)}")
    try:
        text, data = report(trained(arguments))
    except UninasError as error:
        sys.exit(fail(error, error.exit_code))
    settings = {name: str(value) if isinstance(value, Path) else value for name, value in vars(arguments).items()}
    (arguments.out / "proof.json").write_text(json.dumps({"settings": settings, **data}, indent=1) + "\n")
    (arguments.out / "proof.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
