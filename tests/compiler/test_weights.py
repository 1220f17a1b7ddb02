"""Weights to and from files, and what a state dict promises meanwhile."""

import argparse
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import uninas
from uninas.compiler import load_weights, save_weights
from uninas.compiler.weights import Ignored, read_file
from uninas.errors import WeightsError

ROOT = Path(__file__).parents[2]


def network(seed: int = 0, width: int = 8):
    genotype = uninas.blocks.network("coatnet", widths=(width, 8, 16, 16), depths=(1, 1, 1, 1), input_size=32)
    return uninas.build(genotype, 3, seed=seed)


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".safetensors"])
def test_written_weights_read_back_and_the_layout_stays(suffix, tmp_path):
    pytest.importorskip("safetensors")
    source, target = network(1), network(2)
    assert not source.state_dict()["stem.0.weight"].is_contiguous()  # what safetensors refuses
    save_weights(source, tmp_path / f"w{suffix}")
    load_weights(target, tmp_path / f"w{suffix}")
    for (name, ours), theirs in zip(source.state_dict().items(), target.state_dict().values()):
        assert torch.equal(ours, theirs) and ours.stride() == theirs.stride(), name
    assert [file.name for file in tmp_path.iterdir()] == [f"w{suffix}"]


def test_a_state_dict_can_be_written_into():
    """As timm's averaged weights are: in place."""
    from timm.utils.model_ema import ModelEmaV2

    net, other = network(1), network(2)
    averaged = ModelEmaV2(net, decay=0.0)
    averaged.update(other)
    assert torch.equal(averaged.module.stem[0].weight, other.stem[0].weight)


def test_files_that_do_not_fit(tmp_path):
    net = network()
    with pytest.raises(WeightsError, match=r"w\.bin: the suffix says the format; choose from: \.pt"):
        save_weights(net, tmp_path / "w.bin")
    with pytest.raises(WeightsError, match=r"none/w\.pt: cannot be written"):
        save_weights(net, tmp_path / "none" / "w.pt")
    with pytest.raises(WeightsError, match="there is no such checkpoint"):
        load_weights(net, tmp_path / "w.pt")
    save_weights(network(width=16), tmp_path / "wide.pt")
    with pytest.raises(WeightsError, match=r"tensors differ in shape, first .*there, .*here"):
        load_weights(net, tmp_path / "wide.pt")
    state = net.state_dict()
    save_weights({"stem.0.weight": state["stem.0.weight"]}, tmp_path / "part.pt")
    with pytest.raises(WeightsError, match=r"are missing, first stem\.1"):
        load_weights(net, tmp_path / "part.pt")
    save_weights({**state, "more": torch.zeros(1)}, tmp_path / "more.pt")
    with pytest.raises(WeightsError, match="1 tensors have no place in the network, first more"):
        load_weights(net, tmp_path / "more.pt")


class Runs:
    """A pickle of it runs a command when it is loaded without care."""

    def __reduce__(self):
        return os.system, ("touch ran",)


def test_what_a_trainer_stores_beside_weights_is_passed_over_and_never_run(tmp_path, monkeypatch):
    """timm and DeiT store their arguments, mmengine the curves of its log with numpy's scalars in them."""
    monkeypatch.chdir(tmp_path)
    net = network()
    state = {f"backbone.{name}": tensor for name, tensor in net.state_dict().items() if not name.startswith("head")}
    state |= {name: tensor for name, tensor in net.state_dict().items() if name.startswith("head")}
    others = {"args": argparse.Namespace(lr=1), "place": Path("x"), "log": [np.float64(1), np.arange(3)], "f": eval}
    torch.save({"state_dict": state, **others}, "run.pth")
    with pytest.raises(Exception, match="GLOBAL"):
        torch.load("run.pth", weights_only=True)
    other = network(seed=1)
    load_weights(other, "run.pth")
    assert all(torch.equal(tensor, net.state_dict()[name]) for name, tensor in other.state_dict().items())
    assert isinstance(read_file("run.pth")["args"], Ignored) and read_file("run.pth")["f"] is Ignored
    torch.save({"state_dict": state, "sneaky": Runs()}, "sneaky.pth")
    with pytest.raises(WeightsError, match=r"sneaky\.pth: holds a posix\.system, which could run code"):
        load_weights(other, "sneaky.pth")
    assert not Path("ran").exists()


def test_files_that_are_no_weights_say_what_they_are_and_give_no_unsafe_advice(tmp_path):
    (tmp_path / "text.pth").write_text("epoch 3: top1 81.4")
    (tmp_path / "empty.pth").touch()
    torch.save({"args": Runs()}, tmp_path / "runs.pth")
    torch.save(argparse.Namespace(lr=1), tmp_path / "args.pth")
    save_weights(network(), tmp_path / "cut.pt")
    (tmp_path / "cut.pt").write_bytes((tmp_path / "cut.pt").read_bytes()[:-100])
    told = {
        "text.pth": "is no file of torch.save, or only a part of one",
        "empty.pth": "is no file of torch.save, or only a part of one",
        "cut.pt": "is no file of torch.save, or only a part of one",
        "runs.pth": "holds a posix.system, which could run code when loaded",
        "args.pth": r"holds a whole object, not weights by name: save its state_dict\(\)",
    }
    for name, what in told.items():
        with pytest.raises(WeightsError, match=f"{name}: {what}") as caught:
            load_weights(network(), tmp_path / name)
        assert "weights_only" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_an_error_of_ours(tmp_path, monkeypatch):
    def refuse(*args, **options):
        raise PermissionError(13, "Permission denied")

    save_weights(network(), tmp_path / "w.pt")
    monkeypatch.setattr(torch, "load", refuse)
    monkeypatch.setattr(type(tmp_path), "open", refuse)
    with pytest.raises(WeightsError, match=r"w\.pt: .*Permission denied"):
        load_weights(network(), tmp_path / "w.pt")


def test_plain_checkpoints_need_no_mmengine(tmp_path):
    torch.save({"state_dict": network().state_dict(), "meta": {"epoch": 3}}, tmp_path / "w.pth")
    code = (
        "import sys; from uninas.engine.weights import read_checkpoint\n"
        "read = read_checkpoint(sys.argv[1])\n"
        "assert read['meta'] == {'epoch': 3} and len(read['state_dict']) > 10\n"
        "assert 'mmengine' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path / "w.pth"], cwd=ROOT, check=True)
