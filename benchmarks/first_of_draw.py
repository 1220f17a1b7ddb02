"""What a score saves: how good the networks are that it puts first, and how many trainings find as good ones without.

    uninas rank --table uninas_tiny --proxy PROXIES --out runs/tiny
    python benchmarks/first_of_draw.py --table uninas_tiny --scores runs/tiny --proxies learning_agg,params,macs

A search compares networks of one size and trains few of them, so what counts is the head of its ranking, which a tau
over all networks hardly sees. Here `--draw` networks of one band of size are drawn from a trained table, the few that
the score puts first are trained once each, and the best by that training is kept. Printed is the mean over `--repeats`
draws of each band of what the kept network reaches. `no score` trains networks of the draw at random; the last column
says how many trainings it takes to keep as good a network as the score's very first, which nobody trained.

A band holds networks whose parameters follow each other within a tenth. A training is the network's mean over its
trainings, plus noise as wide as trainings of one network lie apart.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich import box
from rich.console import Console
from rich.table import Table

from uninas import proxies
from uninas.cli import fail, print_json
from uninas.engine.race.halving import scatter
from uninas.errors import UninasError
from uninas.proxies import split_names
from uninas.ranking import RankingError
from uninas.ranking.stored import Stored, read_stored
from uninas.ranking.tables import Column

TRAINED = (1, 2, 4, 8, 16)
"""Networks that are trained."""
NO_SCORE = "no score"
STEP = 1.1
"""Between the parameters of neighbours in a band, at most."""


def bands(params: NDArray[np.float64], least: int) -> list[NDArray[np.int64]]:
    """Networks of about one size, by number; bands of fewer than `least` are left out."""
    order = np.argsort(params, kind="stable")
    ends = np.flatnonzero(params[order][1:] > STEP * params[order][:-1]) + 1
    return [band for band in np.split(order, ends) if len(band) >= least]


def deviation(column: Column) -> float:
    """Between trainings of one network, pooled over those that have several; 0 where none has."""
    squares, freedom = scatter(row[np.isfinite(row)].tolist() for row in column.trainings)
    return math.sqrt(squares / freedom) if freedom else 0.0


class Draws:
    """Draws from bands, the same for every score.

    Args:
        stored: scored networks; the first seed of the scores is used.
        column: what they reached; networks without a label are drawn nowhere.
        size: networks of a draw.
        repeats: draws of each band.
    """

    def __init__(self, stored: Stored, column: Column, size: int, repeats: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.run = stored.runs[0]
        known = np.flatnonzero(np.isfinite(column.labels))
        params = np.array([self.run[i]["params"] for i in known], dtype=float)
        self.bands = [known[band] for band in bands(params, size)]
        if not self.bands:
            raise RankingError(f"no band of size holds {size} networks; give a smaller --draw")
        self.higher = column.higher_is_better
        self.labels = column.labels if self.higher else -column.labels
        self.noise = deviation(column)
        self.draws = np.array([rng.permutation(band)[:size] for band in self.bands for _ in range(repeats)])
        self.trainings = self.labels[self.draws] + rng.normal(0, self.noise, self.draws.shape)
        self.order = np.array([rng.permutation(size) for _ in self.draws])

    def ranked(self, name: str) -> NDArray[np.int64]:
        """Draws x size: places in the draw, from what the score puts first on."""
        if name == NO_SCORE:
            return self.order
        sums = proxies.parse(name)
        scores = np.array([sums([self.run[i] for i in draw]) for draw in self.draws], dtype=float)
        return np.argsort(-np.where(np.isfinite(scores), scores, -np.inf), axis=1, kind="stable")

    def kept(self, ranked: NDArray[np.int64], trained: int) -> float:
        """What the network kept reaches on average, when the first `trained` are."""
        first = ranked[:, :trained]
        best = np.take_along_axis(self.trainings, first, 1).argmax(1)
        draws = np.arange(len(first))
        found = float(self.labels[self.draws[draws, first[draws, best]]].mean())
        return found if self.higher else -found

    def row(self, name: str, counts: Sequence[int]) -> list[float]:
        """What is kept by each number of trainings."""
        ranked = self.ranked(name)
        return [self.kept(ranked, count) for count in counts]


def worth(value: float, without: Sequence[float], higher: bool) -> int | None:
    """The trainings without a score that keep as good a network; None where no number of them does."""
    return next((n for n, kept in enumerate(without, 1) if (kept >= value if higher else kept <= value)), None)


def study(stored: Stored, names: Sequence[str], column: Column, arguments: argparse.Namespace) -> dict:
    """The rows of the table, as data."""
    draws = Draws(stored, column, arguments.draw, arguments.repeats, arguments.seed)
    counts = [count for count in TRAINED if count <= arguments.draw]
    without = draws.row(NO_SCORE, range(1, arguments.draw + 1))
    rows = {name: draws.row(name, counts) for name in names}
    return {
        "column": column.name,
        "bands": [len(band) for band in draws.bands],
        "trained": counts,
        "no_score": without,
        "kept": rows,
        "worth": {name: worth(row[0], without, draws.higher) for name, row in rows.items()},
        "deviation": draws.noise,
    }


def shown(found: dict, draw: int) -> Table:
    """The table for people."""
    title = f"{found['column']}: draws of {draw} from bands of {', '.join(map(str, found['bands']))} networks"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("trained")
    for count in found["trained"]:
        table.add_column(str(count), justify="right")
    table.add_column("its first is worth", justify="right")
    table.add_row(NO_SCORE, *(f"{found['no_score'][count - 1]:.2f}" for count in found["trained"]))
    for name, kept in found["kept"].items():
        saved = found["worth"][name]
        words = f"{saved} trainings" if saved is not None else f"over {draw}"
        table.add_row(name, *(f"{value:.2f}" for value in kept), words)
    return table


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", required=True, help="the table that was ranked")
    parser.add_argument("--scores", type=Path, required=True, help="--out of `uninas rank`")
    parser.add_argument("--proxies", default="learning_agg,memorization,params,macs", help="proxies and aggregates")
    parser.add_argument("--task", default="", help="tasks or single columns of the table; default: all")
    parser.add_argument("--half", choices=("choose", "judge"), help="only networks of this half; default: all")
    parser.add_argument("--draw", type=int, default=32, help="networks that a score chooses from")
    parser.add_argument("--repeats", type=int, default=1000, help="draws of each band")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")
    arguments = parser.parse_args(words)
    try:
        stored = read_stored(arguments.scores, arguments.table, split_names(arguments.task))
        stored = stored.half(arguments.half) if arguments.half else stored
        names = split_names(arguments.proxies)
        for name in names:
            stored.scores(name)  # finds what was not measured
        found = [study(stored, names, column, arguments) for column in stored.table.columns]
    except UninasError as error:
        sys.exit(fail(error, error.exit_code))
    if arguments.json:
        print_json({"columns": found})
        return
    for each in found:
        Console(width=150).print(shown(each, arguments.draw))


if __name__ == "__main__":
    main()
