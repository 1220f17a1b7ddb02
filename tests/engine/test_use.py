"""From a checkpoint to metrics and to pictures, for the three tasks, as commands."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytest.importorskip("mmdet")
pytest.importorskip("mmseg")

from PIL import Image

from uninas.engine import protocol
from uninas.engine.config import build_config
from uninas.engine.errors import DataError, EngineError
from uninas.engine.run import train_config
from uninas.engine.use import config_of, predict
from uninas.engine.use import test_checkpoint as validate
from uninas.export.run import export_network

SMALL = ["schedule.epochs=1", "schedule.warmup_epochs=0", "val_every=1"]
DETECTION = [*SMALL, "model.head_width=16", "schedule.milestones=[]", "schedule.kind=constant"]


def trained(name: str, genotype, root: Path, work_dir: Path, *changes: str):
    plan = protocol.load(name, protocol.parse_changes(list(changes)))
    return train_config(build_config(plan, genotype, str(root), work_dir=str(work_dir)))


def command(*arguments: str, cwd: Path) -> subprocess.CompletedProcess:
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.run(
        [sys.executable, "-m", "uninas", *arguments], cwd=cwd, env=env, capture_output=True, text=True
    )


@pytest.mark.slow
def test_a_classifier(genotype, folders, tmp_path):
    changes = [*SMALL, "data.input_size=[32, 32]", "ema=0.5", "batch_size=8"]
    outcome = trained("tiny_imagenet", genotype, folders, tmp_path / "w", *changes)
    done = command("test", str(outcome.checkpoint), "--data-root", str(folders), "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    metrics = json.loads(done.stdout)
    # The averaged weights, which were validated in training too.
    assert metrics["top1"] == pytest.approx(outcome.metrics["top1"])
    picture = next((folders / "val" / "n90000003").iterdir())
    done = command("predict", str(outcome.checkpoint), str(picture), cwd=tmp_path)
    assert done.returncode == 0 and str(picture) in done.stdout and "n9000000" in done.stdout, done.stderr[-2000:]
    (found,) = predict(outcome.checkpoint, [picture], tmp_path / "p", device="cpu")
    assert len(found.found) == 5 and sum(value for _, value in found.found) <= 1 + 1e-5
    with pytest.raises(DataError, match=r"none\.jpg: cannot be read as an image"):
        predict(outcome.checkpoint, [tmp_path / "none.jpg"], tmp_path / "p")


READERS = {
    "an exported file": """
import net
logits = net.load(file)(image)
assert "uninas" not in sys.modules
""",
    "uninas": """
import uninas
from uninas.compiler import load_weights
network = uninas.build(uninas.Genotype.load("best.yaml"), 8)
load_weights(network, file)
logits = network.eval()(image)
""",
    "timm": """
import timm, uninas.timm
source = {"file": file, "num_classes": 8}
new = timm.create_model("uninas", genotype="best.yaml", num_classes=8, pretrained=True, pretrained_cfg_overlay=source)
logits = new.eval()(image)
""",
}
"""Each in a process of its own, since whatever trains lets torch load mmengine's types in its own."""

AROUND = """
import sys, torch
file, image = sys.argv[1], torch.ones(1, 3, 32, 32)
{}
torch.save(logits.detach(), "logits.pt")
assert "mmengine" not in sys.modules
"""


@pytest.mark.slow
def test_a_checkpoint_is_read_without_mmengine(genotype, folders, tmp_path):
    """It holds mmengine's log beside the weights, which torch alone refuses to load."""
    pytest.importorskip("safetensors")
    outcome = trained("tiny_imagenet", genotype, folders, tmp_path / "w", *SMALL, "data.input_size=[32, 32]")
    file = str(outcome.checkpoint)
    genotype.save(tmp_path / "best.yaml")
    export_network(genotype, "source", tmp_path / "net.py", input_size=(32, 32), weights=file)
    found = {}
    for reader, code in READERS.items():
        words = [sys.executable, "-c", AROUND.format(code), file]
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        found[reader] = torch.load(tmp_path / "logits.pt")
    words = [sys.executable, "-c", f"import sys, torch; torch.load({file!r}, weights_only=True)"]
    assert "HistoryBuffer" in subprocess.run(words, capture_output=True, text=True).stderr
    assert all(torch.allclose(logits, found["uninas"], atol=1e-5) for logits in found.values())


@pytest.mark.slow
def test_a_detector(genotype, coco, tmp_path):
    outcome = trained("tiny_coco", genotype, coco, tmp_path / "w", *DETECTION, "data.input_size=[96, 128]")
    picture = coco / "val2017" / "000000000001.jpg"
    (found,) = predict(outcome.checkpoint, [picture], tmp_path / "p", threshold=0.0, device="cpu")
    assert found.found and {name for name, _ in found.found} <= {"disk", "box", "triangle", "ring"}
    assert Image.open(found.drawing).size == Image.open(picture).size
    (nothing,) = predict(outcome.checkpoint, [picture], tmp_path / "p", threshold=1.0, device="cpu")
    assert nothing.found == () and "nothing" in str(nothing)
    metrics = validate(outcome.checkpoint, config_of(outcome.checkpoint, str(coco)))
    assert metrics["coco/segm_mAP"] == pytest.approx(outcome.metrics["coco/segm_mAP"])


@pytest.mark.slow
def test_a_segmentor(genotype, ade, tmp_path):
    outcome = trained("tiny_ade", genotype, ade, tmp_path / "w", *SMALL, "model.head_width=16")
    picture = next((ade / "images" / "validation").iterdir())
    (found,) = predict(outcome.checkpoint, [picture], tmp_path / "p", device="cpu")
    assert sum(share for _, share in found.found) == pytest.approx(1)
    assert found.to_dict()["drawing"] == str(found.drawing) and found.drawing.is_file()
    metrics = validate(outcome.checkpoint, config_of(outcome.checkpoint))
    assert metrics["mIoU"] == pytest.approx(outcome.metrics["mIoU"], abs=0.01)


def test_a_checkpoint_that_does_not_say_what_it_is(tmp_path):
    torch.save({"state_dict": {"a": torch.zeros(1)}}, tmp_path / "w.pth")
    with pytest.raises(EngineError, match=r"w\.pth: holds no config"):
        config_of(tmp_path / "w.pth")
    done = command("test", "none.pth", cwd=tmp_path)
    assert done.returncode == 1 and "none.pth: there is no such checkpoint" in done.stderr
    assert "Traceback" not in done.stderr
