"""How many networks an hour each proxy scores.

    python benchmarks/proxy_throughput.py                        all proxies, 2 processes of 1 thread
    python benchmarks/proxy_throughput.py --proxies vkdnw,naswot --networks 50 --processes 4

The same random networks of NAS-Bench-201 for every proxy, batch 64 of 32 x 32 noise, 10 classes. `networks / h` counts
everything a search would pay, building the network included; `s / score` is the proxy alone, on one process.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import time
from typing import Any

from rich.console import Console
from rich.table import Table

from uninas import proxies
from uninas.ranking.scoring import Setting, Task
from uninas.ranking.tables.nasbench201 import is_complete, nasbench201, space
from uninas.ranking.workers import Workers


def random_archs(count: int, seed: int) -> list[str]:
    """Different networks without edges that lead nowhere."""
    rng, found = random.Random(seed), {}
    while len(found) < count:
        ops = rng.choices(list(space().edges), k=6)
        arch = "|{}~0|+|{}~0|{}~1|+|{}~0|{}~1|{}~2|".format(*ops)
        if is_complete(arch) and set(ops) != {"none"}:
            found[nasbench201(arch).key] = arch
    return list(found.values())


def measure(workers: Workers, archs: list[str], proxy: str, processes: int) -> dict[str, Any]:
    """Scores all networks, after one for each process that nobody counts."""

    def run(chosen: list[str]) -> tuple[float, list]:
        tasks = [Task(arch, nasbench201(arch).key, 0, (proxy,)) for arch in chosen]
        start = time.perf_counter()
        rows = [row for found in workers.score(tasks) for row in found]
        return time.perf_counter() - start, rows

    run(archs[:processes])
    wall, rows = run(archs)
    return {
        "proxy": proxy,
        "networks_per_hour": round(3600 * len(rows) / wall),
        "seconds_per_score": statistics.mean(row.seconds for row in rows),
        "failed": sum(row.value is None for row in rows),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--proxies", default=",".join(proxies.available()), help="separated by commas; default: all")
    parser.add_argument("--networks", type=int, default=20)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0, help="of the choice of networks")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    options = parser.parse_args()
    archs = random_archs(options.networks, options.seed)
    with Workers(Setting(batch=options.batch), options.processes) as workers:
        found = [measure(workers, archs, name, options.processes) for name in proxies.split_names(options.proxies)]
    found.sort(key=lambda row: -row["networks_per_hour"])
    if options.json:
        print(json.dumps({**vars(options), "cpus": os.cpu_count(), "results": found}, indent=1))
        return
    table = Table(
        title=f"{options.networks} networks, batch {options.batch}, {options.processes} processes of 1 thread"
    )
    table.add_column("proxy")
    for name in ("networks / h", "s / score", "failed"):
        table.add_column(name, justify="right")
    for row in found:
        table.add_row(
            row["proxy"], f"{row['networks_per_hour']:,}", f"{row['seconds_per_score']:.4f}", str(row["failed"])
        )
    Console().print(table)


if __name__ == "__main__":
    main()
