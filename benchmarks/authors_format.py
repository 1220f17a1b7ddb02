"""Networks that the paper authors' package mutates, through `uninas.convert` and back.

    python benchmarks/authors_format.py                  # installs theirs (uninas 1.3.0) into a folder of its own
    python benchmarks/authors_format.py --theirs DIR     # or takes it from DIR
    python benchmarks/authors_format.py --count 8        # of 50

Theirs has our import name, so it lives in another folder and runs in another process. It starts from R, E, T and a
CoAtNet of one block kind a stage, makes random changes (its `create_new_model`), and fills the network with random
weights and statistics. A network counts as

    converted     when our genotype and weights are there;
    parameters    when ours has as many as receive a gradient in theirs;
    outputs       when the largest difference between logits, in units of max(1, the largest logit), is at most 1e-4;
    round trip    when theirs -> ours -> theirs -> ours gives the same key, and their package builds what was written
                  back, takes the weights, and gives the outputs of the first network, within 1e-4 too.

Their package cannot build a network with batch norm of a single position, not even from a file that it has written: it
trains a batch of one image when it builds. Such networks are built without that step; `own build` counts the others.
Their counting of FLOPs by a profiler, which takes most of their time, is left out.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from authors import Theirs, install

STARTS = {
    "R": {"embed_dim": [16, 16, 32, 48], "depths": [1, 2, 2, 1], "blocks": "RRRR"},
    "E": {"embed_dim": [16, 32, 32, 64], "depths": [1, 1, 2, 1], "blocks": "EEEE"},
    "T": {"embed_dim": [96, 96, 96, 192], "depths": [1, 1, 1, 1], "blocks": "TTTT"},
    "CoAtNet": {"embed_dim": [32, 64, 96, 192], "depths": [2, 3, 5, 2], "blocks": "EETT"},
}
SIZES = (64, 64, 96, 128)
"""Of images, in turn: each start has one."""
CHANGES = (1, 2, 4, 8, 16, 32)

# Speaks JSON lines: {"do": "mutate" | "build", ...} -> facts, with tensors in files.
THEIRS = r"""
import json, math, os, sys, traceback
out = os.fdopen(os.dup(1), "w"); os.dup2(2, 1)          # their package prints; keep our channel clean
import torch, uninas.model
from uninas import UNIModel, UNIModelCfg, create_new_model
torch.set_num_threads(int(sys.argv[1]))
uninas.model.get_flops = lambda module, shape: 0
starts = {}

def build(text):
    try:
        return UNIModel(UNIModelCfg.from_string(text)), True
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
    kept, UNIModel.freeze_unused_params = UNIModel.freeze_unused_params, lambda self: None
    try:
        return UNIModel(UNIModelCfg.from_string(text)), False
    finally:
        UNIModel.freeze_unused_params = kept

def fill(model, seed):
    g = torch.Generator().manual_seed(seed)
    noise = lambda t: torch.randn(t.shape, generator=g)
    with torch.no_grad():
        for name, t in (*model.named_parameters(), *model.named_buffers()):
            if t.dim() > 1 and not name.endswith("mask"):
                t.copy_(noise(t) / math.sqrt(t[0].numel()))
            elif name.endswith("running_var"):
                t.copy_(0.5 + torch.rand(t.shape, generator=g))
            elif name.endswith("table"):
                t.copy_(0.3 * noise(t))
            elif t.dim() == 1 and t.is_floating_point():
                t.copy_((1.0 if name.endswith("weight") else 0.0) + 0.2 * noise(t))

def answer(order):
    if order["do"] == "mutate":
        text = order["start"]
        if text not in starts:
            torch.manual_seed(0)
            starts[text] = build(text)[0]
        torch.manual_seed(order["seed"])
        n = order["changes"]
        model = create_new_model(starts[text], n_changes=n, n_patience=50 * n)
        fill(model, order["seed"])
        text = model.to_string()
        open(order["json"], "w").write(text)
        torch.save(model.state_dict(), order["weights"])
        own = None
    else:
        model, own = build(open(order["json"]).read())
        model.load_state_dict(torch.load(order["weights"], weights_only=True), strict=True)
    model.eval().requires_grad_(True)
    logits = model(torch.load(order["images"], weights_only=True))
    logits.sum().backward()
    torch.save(logits.detach(), order["logits"])
    used = sum(p.numel() for p in model.parameters() if p.grad is not None)
    return {"used": used, "all": sum(p.numel() for p in model.parameters()), "own": own}

for line in sys.stdin:
    try:
        found = answer(json.loads(line))
    except Exception:
        found = {"error": traceback.format_exc()}
    out.write(json.dumps(found) + "\n"); out.flush()
"""


def start_of(name: str, size: int) -> str:
    """The text of a start's file."""
    start = STARTS[name]
    blocks = [[letter] * depth for letter, depth in zip(start["blocks"], start["depths"])]
    fields = {"embed_dim": start["embed_dim"], "depths": start["depths"], "model_str": json.dumps(blocks)}
    return json.dumps({"img_size": size, "num_classes": 10, "drop_rate": 0.0, "stem_width": [8, 16], **fields})


def difference(a: Any, b: Any) -> float:
    """Between two tensors of logits, in units of the largest logit where that is above 1."""
    return float((a - b).abs().max() / max(1.0, float(b.abs().max())))


def examine(theirs: Theirs, folder: Path, name: str, index: int) -> dict[str, Any]:
    """What becomes of one mutated network."""
    import torch

    import uninas
    from uninas.convert.run import convert
    from uninas.errors import UninasError

    size, changes = SIZES[index % len(SIZES)], CHANGES[index % len(CHANGES)]
    found: dict[str, Any] = {"start": name, "index": index, "size": size, "changes": changes}
    images = folder / "images.pth"
    torch.save(torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(index)), images)
    files = {key: folder / f"{key}.pth" for key in ("weights", "logits", "again")}
    order = {"start": start_of(name, size), "seed": index, "changes": changes, "images": images}
    made = theirs.ask(do="mutate", json=folder / "a.json", weights=files["weights"], logits=files["logits"], **order)
    if "error" in made:
        raise SystemExit(f"their package failed at {name} {index}:\n{made['error']}")
    logits = torch.load(files["logits"])
    try:
        there = convert(folder / "a.json", out=folder / "b.yaml", weights=files["weights"], force=True)
    except UninasError as error:
        return {**found, "error": str(error)}
    net = uninas.build(there.genotype, num_classes=10).eval()
    uninas.compiler.load_weights(net, folder / "b.pth")
    params = sum(p.numel() for p in net.parameters())
    with torch.no_grad():
        found |= {"parameters": params == made["used"], "difference": difference(net(torch.load(images)), logits)}
    found["nodes"] = sum(len(sub.graph.ops) for _, sub in there.genotype.subblocks)
    try:
        convert(folder / "b.yaml", out=folder / "c.json", weights=folder / "b.pth", input_size=size, force=True)
        again = convert(folder / "c.json", out=folder / "d.yaml", weights=folder / "c.pth", force=True)
    except UninasError as error:
        return {**found, "back": str(error)}
    built = theirs.ask(
        do="build", json=folder / "c.json", weights=folder / "c.pth", logits=files["again"], images=images
    )
    if "error" in built:
        return {**found, "back": built["error"]}
    found |= {
        "key": again.genotype.key == there.genotype.key,
        "used": built["used"] == made["used"],
        "own": built["own"],
    }
    return {**found, "back_difference": difference(torch.load(files["again"]), logits)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--theirs", type=Path, help="folder that holds the authors' package")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--count", type=int, default=50, help="networks, in turn from each start")
    parser.add_argument("--first", type=int, default=0, help="index of the first one")
    parser.add_argument("--keep", type=Path, help="keep the files of networks that fail here")
    options = parser.parse_args()

    import torch

    torch.set_num_threads(options.threads)
    names = list(STARTS)
    rows: list[dict[str, Any]] = []
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.theirs or Path(scratch) / "theirs"
        if not options.theirs:
            install(folder)
        theirs = Theirs(folder.resolve(), options.threads, THEIRS)
        for index in range(options.first, options.first + options.count):
            place = Path(scratch) / str(index)
            if options.keep:
                place = options.keep / str(index)
            place.mkdir(parents=True, exist_ok=True)
            row = examine(theirs, place, names[index % len(names)], index)
            rows.append(row)
            if not passes(row, "round trip"):
                print(json.dumps(row), flush=True)
            elif sys.stderr.isatty():
                print(f"{len(rows)}/{options.count}", end="\r", file=sys.stderr, flush=True)
        theirs.process.kill()
    columns = ("converted", "parameters", "outputs", "round trip")
    print(f"{'start':10}{'networks':>10}" + "".join(f"{column:>12}" for column in (*columns, "own build")))
    for name in (*names, "all"):
        own = [row for row in rows if name in (row["start"], "all")]
        counts = [
            *(sum(passes(row, column) for row in own) for column in columns),
            sum(bool(r.get("own")) for r in own),
        ]
        print(f"{name:10}{len(own):10}" + "".join(f"{count:12}" for count in counts))
    for key in ("difference", "back_difference"):
        print(f"largest {key.replace('_', ' ')}: {max(row.get(key, 0.0) for row in rows):.1e}")
    print(f"{time.perf_counter() - started:.0f} s")


def passes(row: dict[str, Any], what: str) -> bool:
    """Whether a network passes in one column of the table."""
    return {
        "converted": "difference" in row,
        "parameters": row.get("parameters", False),
        "outputs": row.get("difference", 1.0) <= 1e-4,
        "round trip": row.get("key", False) and row["used"] and row["back_difference"] <= 1e-4,
    }[what]


if __name__ == "__main__":
    main()
