"""How small the text of a drawing becomes in a column of a paper: ours beside those of torchview and netron.

    pip install torchview graphviz netron onnx onnxscript      # and Graphviz' dot, chromium, chromedriver
    python benchmarks/drawings.py coatnet resnet runs/first/best.yaml
    python benchmarks/drawings.py coatnet --keep pictures      # keeps the three drawings of each network
    python benchmarks/drawings.py --walks 30 120 600           # large networks, drawn by ours alone

Printed are boxes and size of each drawing as it was made, and the size of its text where it is scaled to a width of
8 cm, and where it has to fit into 8 x 23 cm, a column of a page. torchview draws modules to depth 3, its default;
netron draws the network as ONNX. Ours draws on several pages what needs more than one; the size is that of the highest.
With --walks the networks are the ends of random walks of so many moves from CoAtNet, in the space `uninas` under 60 M
parameters; beside each is how high it is in layers, on one page.
"""

from __future__ import annotations

import argparse
import logging
import random
import re
import socket
import subprocess
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import chromium
import torch
from random_walks import walk
from torch.nn.attention import SDPBackend, sdpa_kernel

import uninas
from uninas.blocks.networks import named_or_file
from uninas.report.drawing.figure import draw_network, draw_pages
from uninas.report.drawing.image import page_files
from uninas.search.limits import Limits
from uninas.search.space import Space

CM = 72 / 2.54
"""Points."""
COLUMN, PAGE = 8, 23
"""Centimetres."""
SIZE = 224


def report(name: str, maker: str, width: float, height: float, text: float, boxes: int, more: str = "") -> None:
    """Width, height and text in points, as the drawing was made."""
    made = f"{width / CM:7.0f} x {height / CM:5.0f} cm"
    wide, whole = text * COLUMN * CM / width, text * min(COLUMN * CM / width, PAGE * CM / height)
    print(f"{name:12} {maker:10} {boxes:6} boxes {made}   text {wide:6.2f} pt, {whole:6.2f} pt{more}", flush=True)


def ours(name: str, genotype: uninas.Genotype, folder: Path) -> None:
    pages = draw_pages(genotype, (SIZE, SIZE))
    for path, content in page_files(pages, folder / f"{name}_uninas.svg").items():
        path.write_bytes(content)
    boxes = sum(len(box.lines) for page in pages for spot in page.panels for box in spot.panel.boxes)
    scale = pages[0].centimetres * CM / pages[0].width
    more = ""
    if len(pages) > 1:
        layers = draw_network(genotype, (SIZE, SIZE))
        more = f", {len(pages)} pages; in layers {layers.centimetres:.0f} x {layers.centimetres_high:.0f} cm"
    height = max(page.height for page in pages) * scale
    report(name, "uninas", pages[0].width * scale, height, 8 * scale, boxes, more)


def walked(moves: int) -> uninas.Genotype:
    """The end of a random walk from CoAtNet."""
    space, limits = Space.load("uninas"), Limits.model_validate({"max_params": "60M"})
    return walk(space, space.start("coatnet"), moves, random.Random(moves), limits)


def torchviews(name: str, genotype: uninas.Genotype, folder: Path) -> None:
    from torchview import draw_graph  # pyright: ignore[reportMissingImports]

    network = uninas.build(genotype, num_classes=1000).eval()
    drawn = draw_graph(network, input_size=(1, 3, SIZE, SIZE), device="cpu").visual_graph
    made = subprocess.run(["dot", "-Tsvg"], input=drawn.source, capture_output=True, text=True, check=True, timeout=300)
    svg = made.stdout
    (folder / f"{name}_torchview.svg").write_text(svg, encoding="utf-8")
    found = re.search(r'<svg width="([\d.]+)pt" height="([\d.]+)pt"\s+viewBox="[\d.]+ [\d.]+ ([\d.]+)', svg)
    fonts = re.findall(r'font-size="([\d.]+)"', svg)
    if not found or not fonts:
        print(f"{name:12} torchview  drew nothing that can be measured")
        return
    width, height, units = map(float, found.groups())
    report(name, "torchview", width, height, float(fonts[0]) * width / units, svg.count('class="node"'))


def netrons(name: str, genotype: uninas.Genotype, folder: Path) -> None:
    import netron  # pyright: ignore[reportMissingImports]
    from selenium.webdriver.support.ui import WebDriverWait

    network = uninas.build(genotype, num_classes=1000).eval()
    path = folder / f"{name}.onnx"
    with warnings.catch_warnings(), sdpa_kernel(SDPBackend.MATH):  # the fused kernels' strides cannot be exported
        warnings.simplefilter("ignore")
        torch.onnx.export(network, (torch.zeros(1, 3, SIZE, SIZE),), str(path), dynamo=True, verbose=False)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    netron.start(str(path), address=("127.0.0.1", port), browse=False)
    try:
        with chromium.browser() as driver:
            driver.get(f"http://127.0.0.1:{port}")
            _dismiss(driver)
            count = "return document.querySelectorAll('g.node').length"
            WebDriverWait(driver, 300, 0.5).until(lambda d: d.execute_script(count) > 0)
            time.sleep(3)
            box = driver.execute_script(
                "const b = document.getElementById('origin').getBBox(); return [b.width, b.height]"
            )
            style = "getComputedStyle(document.querySelector('g.node text')).fontSize"
            font = driver.execute_script(f"return parseFloat({style})")
            width, height = (pixels * 0.75 for pixels in box)
            report(name, "netron", width, height, font * 0.75, driver.execute_script(count))
    finally:
        netron.stop(("127.0.0.1", port))


def _dismiss(driver: Any) -> None:
    """Netron asks for consent where it cannot reach its host."""
    time.sleep(2)
    driver.execute_script("for (const b of document.querySelectorAll('button')) if (b.offsetParent) b.click()")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", help="names or files; default: coatnet resnet")
    parser.add_argument("--walks", nargs="+", type=int, default=[], metavar="MOVES", help="walks of so many moves")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the drawings here")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for moves in arguments.walks:
            ours(f"walk-{moves}", walked(moves), folder)
        for text in arguments.networks or ([] if arguments.walks else ["coatnet", "resnet"]):
            genotype = named_or_file(text)
            name = genotype.name or Path(text).parent.name or genotype.key[:8]
            for make in (ours, torchviews, netrons):
                try:
                    make(name, genotype, folder)
                except (ModuleNotFoundError, FileNotFoundError) as error:
                    print(f"{name:12} {make.__name__}: left out, {error}")


if __name__ == "__main__":
    main()
