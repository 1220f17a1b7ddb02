"""A table of trained networks whose widths are multiplied: do scores rank large networks as they rank small ones?

    python benchmarks/wider_table.py --table tables/uninas_tiny --times 5 --half judge --out runs/wider
    uninas rank --table runs/wider --task tiny_fashion --input-size 16 --batch 16 --proxy PROXIES --out runs/ranked

Nobody here trains hundreds of networks of 30 M parameters. But of networks of one shape, the better one is hardly the
worse one when both are as many times wider; so a score that ranks the wide ones otherwise than the narrow ones were
trained says something of their size. Written are the networks of one half of a table, wider, with the trainings of
the networks that they come from: a table like any other for `uninas rank`. `--times 1` keeps the networks.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import get_args

from uninas import Genotype
from uninas.cli import fail
from uninas.engine.tabulate import NETWORKS, RESULTS, TableFolder
from uninas.errors import GenotypeError, UninasError
from uninas.files import make_folder
from uninas.ranking import RankingError
from uninas.ranking.halves import Half, half_of


def wider(genotype: Genotype, times: int) -> Genotype:
    """All widths of the stem and the stages multiplied. Raises GenotypeError: its operations cannot be that wide."""
    stem = replace(genotype.stem, convs=tuple(replace(conv, width=times * conv.width) for conv in genotype.stem.convs))
    stages = tuple(replace(stage, width=times * stage.width) for stage in genotype.stages)
    return replace(genotype, stem=stem, stages=stages)


def write(source: Path, out: Path, times: int, half: Half, count: int | None) -> int:
    """Writes the wider table and returns how many networks it has. Rows keep the costs of what was trained.

    Args:
        count: of the half's trained networks, the first so many in the order of their keys; None for all.

    Raises:
        StudyError: a table cannot be read or written.
        RankingError: there is something of a table in `out`, or of so few networks there is none.
    """
    before, after = TableFolder(source), TableFolder(out)
    if any((out / name).exists() for name in (NETWORKS, RESULTS)):
        raise RankingError(f"{out} has a table already, or a part of one; choose another --out")
    rows = list(before.rows())
    trained = {row.key for row in rows if row.accuracy is not None}
    narrow = {drawn.genotype.key: drawn for drawn in before.networks()}
    found = {}
    for key in sorted(key for key in trained & narrow.keys() if half_of(key) == half)[:count]:
        try:
            found[key] = replace(narrow[key], genotype=wider(narrow[key].genotype, times))
        except GenotypeError as error:
            print(f"left out: {key[:12]}: {error}", file=sys.stderr)
    if len(found) < 2:
        raise RankingError(f"{source}: {len(found)} networks of the half to {half} are left; a table needs at least 2")
    make_folder(out, RankingError)
    for row in rows:
        if row.key in found:
            after.append(replace(row, key=found[row.key].genotype.key))
    after.write_networks(list(found.values()))  # last: what is cut short before is no table
    return len(found)


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, required=True, help="folder of a table that `uninas tabulate` wrote")
    parser.add_argument("--times", type=int, default=5, help="factor of all widths")
    parser.add_argument("--half", choices=get_args(Half), default="judge")
    parser.add_argument("--count", type=int, help="networks at most")
    parser.add_argument("--out", type=Path, required=True, help="folder of the new table")
    arguments = parser.parse_args(words)
    try:
        count = write(arguments.table, arguments.out, arguments.times, arguments.half, arguments.count)
    except UninasError as error:
        sys.exit(fail(error, error.exit_code))
    print(f"{count} networks, {arguments.times} times as wide, in {arguments.out}")


if __name__ == "__main__":
    main()
