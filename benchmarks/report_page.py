"""What a report of many candidates costs: seconds to make, megabytes, seconds to open; and the pictures of the docs.

    python benchmarks/report_page.py                           # 10,000 made-up candidates
    python benchmarks/report_page.py --candidates 1000
    python benchmarks/report_page.py --study runs/first        # a study that is there
    python benchmarks/report_page.py --study runs/first --pictures docs/images

Opening is measured in headless Chromium, from the navigation until everything can be clicked. For --pictures, the page
is photographed in parts, and the network found and CoAtNet are drawn at the width of a column.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import big_study
import chromium

import uninas
from uninas.report.drawing.figure import draw_network
from uninas.report.drawing.image import figure_bytes
from uninas.report.html.write import write

OPENINGS = 3


def measure(folder: Path, page: Path) -> None:
    """Makes the report and opens it; prints a line a number."""
    start = time.perf_counter()
    made = write([folder], page, force=True)
    print(f"candidates                           {made['candidates']:9,}")
    print(f"distinct drawings                    {made['panels']:9,}")
    print(f"seconds to make                      {time.perf_counter() - start:9.1f}")
    print(f"megabytes                            {made['bytes'] / 1e6:9.2f}")
    if missing := chromium.missing():
        print(f"not opened: {missing}")
        return
    with chromium.browser() as driver:
        seconds = []
        for _ in range(OPENINGS):
            start = time.perf_counter()
            chromium.load(driver, page)
            seconds.append(time.perf_counter() - start)
        print(f"seconds to open, {OPENINGS} times             {' '.join(f'{found:.2f}' for found in seconds):>9}")
        for name, work in (
            ("ms to choose a line of the table", "document.querySelector('#candidates tbody tr:nth-child(3)').click()"),
            ("ms to sort the table", "document.querySelectorAll('#candidates thead button')[4].click()"),
            ("ms to change an axis", "document.getElementById('axis-x').dispatchEvent(new Event('change'))"),
        ):
            took = driver.execute_script(f"const t = performance.now(); {work}; return performance.now() - t")
            print(f"{name:36} {took:9.0f}")
        wrong = chromium.complaints(driver) + chromium.requests(driver, page)
        print(f"complaints and requests              {len(wrong):9}")


def photograph(page: Path, best: Path, out: Path) -> None:
    """The pictures that the docs show."""
    out.mkdir(parents=True, exist_ok=True)
    with chromium.browser() as driver:
        chromium.load(driver, page)
        driver.execute_script("document.querySelectorAll('#winner-view .block.changed')[1].open = true")
        time.sleep(0.5)
        chromium.picture(driver, out / "report_network.png", height=1250)
        top = _top(driver, "#explore")
        driver.execute_script("document.querySelector('#candidates tbody tr:nth-child(2)').click()")
        time.sleep(0.5)
        chromium.picture(driver, out / "report_candidates.png", top=top, height=1050)
    with chromium.browser(dark=True) as driver:
        chromium.load(driver, page)
        top = _top(driver, "#progress")
        chromium.picture(driver, out / "report_progress.png", top=top, height=_top(driver, "#scores") - top)
    for name, genotype in (("coatnet", uninas.blocks.network("coatnet")), ("found", uninas.Genotype.load(best))):
        (out / f"{name}.svg").write_bytes(figure_bytes(draw_network(genotype, (224, 224)), ".svg"))
    for path in sorted(out.iterdir()):
        print(f"wrote {path}, {path.stat().st_size / 1000:.0f} kB")


def _top(driver: Any, selector: str) -> float:
    return driver.execute_script(f"return document.querySelector('{selector}').getBoundingClientRect().top + scrollY")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--candidates", type=int, default=10_000)
    parser.add_argument("--study", type=Path, help="a folder of a search in place of made-up candidates")
    parser.add_argument("--pictures", type=Path, metavar="DIR", help="also write the pictures of the docs here")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.study or Path(temporary, "study")
        if arguments.study is None:
            big_study.fill(folder, arguments.candidates)
        page = Path(temporary, "report.html")
        measure(folder, page)
        if arguments.pictures:
            photograph(page, folder / "best.yaml", arguments.pictures)


if __name__ == "__main__":
    main()
