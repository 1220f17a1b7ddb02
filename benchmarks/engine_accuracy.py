"""How well small networks learn under the tiny protocols on a CPU: accuracy, mask AP, mean IoU.

    OMP_NUM_THREADS=2 python benchmarks/engine_accuracy.py [--only digits-resnet] [--out runs/engine_accuracy]

About half an hour on 2 cores for all rows; prints one table. Bars: 97 % on digits in under 5 minutes each, 0.5 segm
mAP50 on shapes, 0.8 mIoU on scenes, all on held-out images.
"""

from __future__ import annotations

import argparse
import json
import logging
import shutil
import time
from pathlib import Path

import torch

import uninas
from uninas import Genotype
from uninas.engine import protocol
from uninas.engine.config import build_config
from uninas.engine.run import train_config
from uninas.toydata import make

RESNET = ("resnet", (24, 48, 72, 96), (1, 1, 1, 1))
COATNET = ("coatnet", (32, 48, 96, 128), (1, 1, 2, 1))
ROWS = {
    "digits-resnet": ("digits", "tiny_digits", RESNET, "top1", 97.0),
    "digits-coatnet": ("digits", "tiny_digits", COATNET, "top1", 97.0),
    "coco-coatnet": ("tiny-coco", "tiny_coco", COATNET, "coco/segm_mAP_50", 0.5),
    "ade-coatnet": ("tiny-ade", "tiny_ade", COATNET, "mIoU", 80.0),
}


def network(kind: str, widths: tuple[int, ...], depths: tuple[int, ...]) -> Genotype:
    """A small one; relative position bias is made for 32 x 32 images and interpolated elsewhere."""
    return uninas.blocks.network(kind, widths=widths, depths=depths, input_size=32)


def measure(row: str, out: Path, changes: list[str]) -> dict:
    """Train one row from scratch, under its protocol with the changes."""
    data, name, (kind, widths, depths), metric, bar = ROWS[row]
    root, work_dir = out / data, out / row
    if not root.exists():
        make(data, root)
    shutil.rmtree(work_dir, ignore_errors=True)
    genotype = network(kind, widths, depths)
    plan = protocol.load(name, protocol.parse_changes(changes))
    cfg = build_config(plan, genotype, str(root), work_dir=str(work_dir))
    cfg.log_level = "WARNING"
    began, cpu = time.perf_counter(), time.process_time()
    outcome = train_config(cfg)
    return {
        "row": row,
        "protocol": name,
        "params": uninas.cost(genotype, plan.data.input_size, num_classes=plan.data.num_classes).params,
        "input": "x".join(map(str, plan.data.input_size)),
        "metric": metric,
        "value": round(outcome.metrics[metric], 4),
        "bar": bar,
        "minutes": round((time.perf_counter() - began) / 60, 2),
        "cpu_minutes": round((time.process_time() - cpu) / 60, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=ROWS, action="append", help="measure this row (repeatable)")
    parser.add_argument("--out", type=Path, default=Path("runs/engine_accuracy"))
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--set", nargs="*", default=[], help="change the protocols, e.g. model.out_norm=false")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    logging.getLogger().setLevel(logging.WARNING)
    results = [measure(row, arguments.out, arguments.set) for row in arguments.only or ROWS]
    print(f"{'':16}{'params':>10}{'input':>10}{'metric':>20}{'value':>10}{'bar':>8}{'minutes':>9}{'CPU':>7}")
    for r in results:
        numbers = f"{r['value']:>10}{r['bar']:>8}{r['minutes']:>9}{r['cpu_minutes']:>7}"
        print(f"{r['row']:16}{r['params']:>10,}{r['input']:>10}{r['metric']:>20}{numbers}")
    (arguments.out / "results.json").write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
