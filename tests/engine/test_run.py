"""Training runs: exact resuming, several processes, the three tasks, and what a user is told of a fault."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

pytest.importorskip("mmengine")

import uninas
from uninas.engine import protocol
from uninas.engine.config import build_config
from uninas.engine.errors import DataError, EngineError
from uninas.engine.run import newest_checkpoint, processes_of, train_config
from uninas.mm_compat.distributed import launched_by

REPOSITORY = Path(__file__).resolve().parents[2]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
ON_CPU = {**ENVIRONMENT, "CUDA_VISIBLE_DEVICES": ""}
"""Two processes want a GPU each, where there are any."""

# Everything random is on, and the data are loaded by processes of their own.
RANDOM = [
    "data.input_size=[32, 32]",
    "data.workers=1",
    "batch_size=8",
    "schedule.epochs=3",
    "log_every=1",
    "model.drop_path=0.3",
    "augmentation.mixup=0.5",
    "augmentation.random_erasing=0.3",
    "ema=0.9",
    "deterministic=true",
]


def configured(name: str, genotype, root: Path, work_dir: Path, *changes: str, **settings):
    plan = protocol.load(name, protocol.parse_changes(list(changes)))
    return build_config(plan, genotype, str(root), work_dir=str(work_dir), **settings)


def losses(work_dir: Path) -> dict[int, float]:
    """Loss of every iteration, later runs of the directory over earlier ones."""
    found = {}
    for file in sorted(work_dir.glob("*/vis_data/scalars.json")):
        for line in file.read_text().splitlines():
            row = json.loads(line)
            if "loss" in row:
                found[row["step"]] = row["loss"]
    return found


def command(*arguments: str, start: tuple[str, ...] = ()) -> list[str]:
    return [sys.executable, *start, str(REPOSITORY / "tools" / "train.py"), *arguments]


@pytest.mark.slow
def test_a_killed_run_resumes_exactly(genotype, folders, tmp_path):
    whole = tmp_path / "whole"
    train_config(configured("tiny_imagenet", genotype, folders, whole, *RANDOM))
    expected = losses(whole)
    assert len(expected) == 3 * 4
    assert not torch.are_deterministic_algorithms_enabled()  # what the run asked for ends with it

    genotype.save(tmp_path / "g.yaml")
    killed = tmp_path / "killed"
    common = [str(tmp_path / "g.yaml"), "--protocol", "tiny_imagenet", "--data-root", str(folders)]
    arguments = [*common, "--out", str(killed), "--set", *RANDOM]
    process = subprocess.Popen(command(*arguments), env=ENVIRONMENT, stdout=subprocess.DEVNULL)
    deadline = time.time() + 120
    while max(losses(killed), default=0) < 6 and process.poll() is None and time.time() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert process.returncode == -signal.SIGKILL, "the run ended before it could be killed"
    before = losses(killed)
    assert 6 <= max(before) < 12 and (killed / "epoch_1.pth").is_file()
    assert before == {step: expected[step] for step in before}

    done = subprocess.run(command(*arguments, "--resume"), env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert losses(killed) == expected
    last, reference = (torch.load(d / "epoch_3.pth", weights_only=True)["state_dict"] for d in (killed, whole))
    assert all(torch.equal(last[name], reference[name]) for name in reference)


def test_what_has_no_deterministic_algorithm_is_no_error(genotype, folders, tmp_path, monkeypatch):
    found = []

    def train(runner):
        found.append(
            (torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled())
        )
        torch.save({"state_dict": {"a": torch.zeros(1)}}, tmp_path / "epoch_1.pth")

    monkeypatch.setattr("uninas.engine.run.Runner.train", train)
    train_config(configured("tiny_imagenet", genotype, folders, tmp_path, *RANDOM))
    assert found == [(True, True)]
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.slow
def test_two_processes_give_the_gradients_of_one_with_twice_the_batch_and_share_statistics(tmp_path):
    # Layer norms only: batch statistics would rightly differ.
    uninas.blocks.network("convnext", widths=(8, 16, 16, 16), depths=(1, 1, 1, 1)).save(tmp_path / "g.yaml")
    script = Path(__file__).with_name("ddp_gradients.py")
    start = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    done = subprocess.run(
        [sys.executable, *start, str(script), str(tmp_path / "g.yaml")], env=ON_CPU, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert float(done.stdout.split("largest difference")[1].split()[0]) < 1e-5
    assert "shared by 0: 0.50 5.00" in done.stdout and "shared by 1: 0.50 5.00" in done.stdout


@pytest.mark.slow
def test_torchrun_trains_with_scaled_rates(genotype, folders, tmp_path):
    genotype.save(tmp_path / "g.yaml")
    arguments = [str(tmp_path / "g.yaml"), "--protocol", "tiny_imagenet", "--data-root", str(folders)]
    arguments += ["--out", str(tmp_path / "w"), "--json"]
    arguments += ["--set", "schedule.epochs=2", "batch_size=4", "data.input_size=[32, 32]"]
    start = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2")
    done = subprocess.run(command(*arguments, start=start), env=ON_CPU, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout)
    assert told["checkpoint"].endswith("epoch_2.pth") and 0 <= told["metrics"]["top1"] <= 100
    written = next((tmp_path / "w").glob("*/vis_data/config.py")).read_text()
    assert "processes=2" in written and "lr=0.002" in written
    assert "Distributed launcher: pytorch" in done.stdout + done.stderr


@pytest.mark.slow
def test_classification_feeds_detection_and_segmentation(genotype, folders, coco, ade, tmp_path):
    classes = configured("tiny_imagenet", genotype, folders, tmp_path / "c", "schedule.epochs=2", "amp=bf16")
    first = train_config(classes)
    assert first.best is not None and set(first.metrics) == {"top1", "top5", "cross_entropy"}
    weights = torch.load(first.checkpoint, weights_only=True)["state_dict"]

    small = ["schedule.epochs=2", "val_every=2", "model.head_width=16", "optimizer.accumulate=2"]
    detection = ["schedule.milestones=[]", "schedule.kind=constant", "data.input_size=[96, 128]"]
    cfg = configured("tiny_coco", genotype, coco, tmp_path / "d", *small, *detection, pretrained=str(first.checkpoint))
    cfg.optim_wrapper.optimizer.lr = 1e-12
    cfg.model.test_cfg.rpn.max_per_img = 50
    outcome = train_config(cfg)
    assert "coco/segm_mAP_50" in outcome.metrics
    after = torch.load(outcome.checkpoint, weights_only=True)["state_dict"]
    name = "backbone.stages.2.0.subblocks.0.graph.qkv.weight"
    name = name if name in weights else next(k for k in weights if k.startswith("backbone.stages.2") and "weight" in k)
    torch.testing.assert_close(after[name], weights[name])

    cfg = configured("tiny_ade", genotype, ade, tmp_path / "s", *small, pretrained=str(first.checkpoint))
    outcome = train_config(cfg)
    assert 0 <= outcome.metrics["mIoU"] <= 100


class TestWhatAUserIsTold:
    def test_an_earlier_run_is_not_overwritten(self, genotype, folders, tmp_path):
        torch.save({"state_dict": {"a": torch.zeros(1)}}, tmp_path / "epoch_1.pth")
        with pytest.raises(EngineError, match=r"epoch_1\.pth of an earlier run: give --resume"):
            train_config(configured("tiny_imagenet", genotype, folders, tmp_path))

    def test_another_genotype_is_not_resumed(self, genotype, other_genotype, folders, tmp_path):
        cfg = configured("tiny_imagenet", genotype, folders, tmp_path)
        meta = {"cfg": cfg.pretty_text}
        torch.save({"state_dict": {"a": torch.zeros(1)}, "meta": meta}, tmp_path / "epoch_1.pth")
        with pytest.raises(EngineError, match=r"trained from the genotype coatnet .* asked for resnet"):
            train_config(configured("tiny_imagenet", other_genotype, folders, tmp_path), resume=True)

    def test_a_torn_checkpoint_is_passed_over(self, tmp_path):
        for epoch in (1, 2, 10):
            torch.save({"state_dict": {"a": torch.zeros(100)}}, tmp_path / f"epoch_{epoch}.pth")
        assert newest_checkpoint(tmp_path).name == "epoch_10.pth"
        torn = tmp_path / "epoch_10.pth"
        torn.write_bytes(torn.read_bytes()[:-200])
        assert newest_checkpoint(tmp_path).name == "epoch_2.pth"
        assert newest_checkpoint(tmp_path / "none") is None

    @pytest.mark.parametrize("workers", [0, 1])
    def test_an_image_that_breaks_during_training_is_named(self, genotype, tmp_path, workers):
        from uninas.toydata import make

        make("tiny-imagenet", tmp_path / "d", train=16, val=8)
        for file in (tmp_path / "d" / "train").rglob("*.JPEG"):
            file.write_bytes(file.read_bytes()[:300])
        changes = [f"data.workers={workers}", "data.input_size=[32, 32]"]
        cfg = configured("tiny_imagenet", genotype, tmp_path / "d", tmp_path / "w", *changes)
        with pytest.raises(DataError, match=r"^.*\.JPEG: cannot be read as an image") as caught:
            train_config(cfg)
        assert "\n" not in str(caught.value)

    def test_a_run_that_diverges_stops_and_names_the_iteration(self, genotype, folders, tmp_path):
        cfg = configured("tiny_imagenet", genotype, folders, tmp_path, "data.input_size=[32, 32]")
        cfg.optim_wrapper.optimizer.lr = 1e30
        cfg.param_scheduler = []
        cfg.optim_wrapper.clip_grad = None
        with pytest.raises(EngineError, match=r"^iteration \d \(epoch 1\): the loss is (nan|inf)"):
            train_config(cfg)
        assert not list(tmp_path.glob("best_*.pth"))

    def test_a_logger_that_is_not_installed(self, genotype, folders, tmp_path, monkeypatch):
        monkeypatch.setattr("uninas.engine.run.find_spec", lambda name: None)
        cfg = configured("tiny_imagenet", genotype, folders, tmp_path, "loggers=[tensorboard]")
        with pytest.raises(EngineError, match="loggers: tensorboard is not installed: pip install tensorboard"):
            train_config(cfg)

    def test_launchers(self, monkeypatch):
        assert processes_of("none") == 1
        monkeypatch.setenv("SLURM_NTASKS", "3")
        assert processes_of("slurm") == 3
        monkeypatch.delenv("WORLD_SIZE", raising=False)
        with pytest.raises(EngineError, match="WORLD_SIZE is 'not set'; start the script with torchrun"):
            processes_of("pytorch")
        with pytest.raises(EngineError, match="choose from: none, pytorch, slurm"):
            processes_of("mpi")

    def test_torchrun_without_a_launcher_is_noticed(self, monkeypatch):
        assert launched_by() == "none"
        for name, value in (("RANK", "1"), ("LOCAL_RANK", "1"), ("WORLD_SIZE", "4")):
            monkeypatch.setenv(name, value)
        assert launched_by() == "pytorch" and processes_of(launched_by()) == 4
        with pytest.raises(EngineError, match="torchrun started 4 processes"):
            processes_of("none")

    def test_batch_norms_that_would_keep_no_statistics(self, genotype, folders, tmp_path):
        cfg = configured("tiny_imagenet", genotype, folders, tmp_path, "norm=eval")
        with pytest.raises(EngineError, match=r"norm is eval: \d+ batch norms keep .* Give --pretrained"):
            train_config(cfg)
