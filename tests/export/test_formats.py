"""ONNX and torch.export files: compared with the network, refused where they cannot be right."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from os import environ
from pathlib import Path

import pytest
import torch
from graphs import wrap
from small import chain, small
from torch import Tensor, nn

import uninas
from uninas.compiler import save_weights
from uninas.errors import WeightsError
from uninas.export import onnx as onnx_export
from uninas.export import verify
from uninas.export.errors import DifferenceError, DynamicError, ExportError, FormatError
from uninas.export.job import prepare
from uninas.export.run import export_network, parse_dynamic
from uninas.genotype import Downsample, Genotype, Head, Stage, Stem, StemConv
from uninas.ops import Op
from uninas.ops.base import REGISTRY

pytest.importorskip("onnxscript")
onnxruntime = pytest.importorskip("onnxruntime")

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("out")
    net = uninas.build(small(), 3, seed=4).eval()
    net = verify.trained_twin(net, torch.randn(4, 3, 32, 32))
    save_weights(net, folder / "w.safetensors")
    return net, folder


@pytest.mark.parametrize(("to", "suffix"), [("onnx", "onnx"), ("torch-export", "pt2")])
def test_the_file_has_the_true_weights_and_runs_at_any_size(to, suffix, written):
    net, folder = written
    out = folder / f"n.{suffix}"
    weights = folder / "w.safetensors"
    done = export_network(small(), to, out, input_size=(32, 32), dynamic=("batch", "size"), weights=weights)
    assert done.files == (out,) and done.difference < 1e-4 and not done.notes
    assert [check[:3] for check in done.checks] == [
        *((b, 32, 32) for b in (1, 2, 5)),
        *((b, 37, 27) for b in (1, 2, 5)),
    ]
    x = torch.randn(3, 3, 21, 44)
    if to == "onnx":
        session = onnxruntime.InferenceSession(out)
        assert session.get_modelmeta().custom_metadata_map["genotype_key"] == small().key
        assert [session.get_inputs()[0].shape, session.get_outputs()[0].name] == [
            ["batch", 3, "height", "width"],
            "logits",
        ]
        found = torch.from_numpy(session.run(None, {"images": x.numpy()})[0])
    else:
        extra = {"uninas.json": ""}
        found = torch.export.load(out, extra_files=extra).module()(x)
        assert json.loads(extra["uninas.json"])["dynamic"] == "batch,size"
    torch.testing.assert_close(found, net(x), rtol=1e-4, atol=1e-4)
    assert sorted(file.name for file in folder.iterdir() if file.name.startswith(".")) == []


def test_initial_weights_are_written_though_others_are_compared(tmp_path, monkeypatch):
    compared = []

    def noting(run, network, shapes, what):
        compared.append((what, network.stem[1].running_var.mean().item()))
        return verify.compare(run, network, shapes, what)

    monkeypatch.setattr(onnx_export, "compare", noting)
    genotype = wrap(chain("gelu").stages[0].blocks[0].subblocks[0].graph)
    genotype = Genotype(genotype.stages, Stem((StemConv(8, 1, norm="batch"),)), genotype.head)
    export_network(genotype, "onnx", tmp_path / "n.onnx", input_size=(8, 8), num_classes=3, dynamic=())
    assert [what for what, _ in compared] == ["ONNX with other weights", "ONNX"]
    assert compared[0][1] != 1.0 and compared[1][1] == 1.0
    x = torch.randn(1, 3, 8, 8)
    found = onnxruntime.InferenceSession(tmp_path / "n.onnx").run(None, {"images": x.numpy()})[0]
    torch.testing.assert_close(torch.from_numpy(found), uninas.build(genotype, 3).eval()(x), rtol=1e-4, atol=1e-5)


def test_another_output_is_never_written(tmp_path, monkeypatch):
    real = onnx_export.session

    class Wrong:
        def __init__(self, source):
            self.opened = real(source)

        def run(self, *arguments):
            return [out + 0.001 for out in self.opened.run(*arguments)]

    monkeypatch.setattr(onnx_export, "session", Wrong)
    with pytest.raises(DifferenceError, match=r"ONNX with other weights at 1 x 3 x 8 x 8: outputs differ by 0\.001"):
        export_network(chain("gelu"), "onnx", tmp_path / "n.onnx", input_size=(8, 8), num_classes=3, dynamic=())
    assert list(tmp_path.iterdir()) == []


def test_an_optimiser_that_fails_is_said(tmp_path, monkeypatch):
    def fail(self):
        raise RuntimeError("no such fold")

    monkeypatch.setattr(torch.onnx.ONNXProgram, "optimize", fail)
    done = export_network(chain("gelu"), "onnx", tmp_path / "n.onnx", input_size=(8, 8), num_classes=3, dynamic=())
    assert done.notes == (onnx_export.UNOPTIMISED.format("no such fold"),)


@pytest.fixture
def strange():
    """Operations that exporters cannot take."""

    class FixedSize(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * (int(x.shape[2]) % 3 + 1)

    class Solve(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.special.i1e(x)

    @dataclass(frozen=True)
    class Fixed(Op):
        name = "fixed_size"

        def build(self, inputs):
            return FixedSize()

    @dataclass(frozen=True)
    class Untranslated(Op):
        name = "untranslated"

        def build(self, inputs):
            return Solve()

    yield
    for name in ("fixed_size", "untranslated"):
        del REGISTRY[name]


def test_what_cannot_be_free_is_named_before_writing(strange, tmp_path):
    network = chain("relu", "fixed_size")
    arguments = {"input_size": (8, 8), "num_classes": 3}
    place = r"fixed_size \(stages\[0\]\.blocks\[0\]\.subblocks\[0\]\.graph\.fixed_size\) fixes a dimension"
    with pytest.raises(DynamicError, match=rf"--dynamic size: {place}.*leave the dimension out of --dynamic"):
        export_network(network, "onnx", tmp_path / "n.onnx", dynamic=("size",), **arguments)
    assert list(tmp_path.iterdir()) == []
    assert export_network(network, "torch-export", tmp_path / "n.pt2", dynamic=("batch",), **arguments).files


def test_what_onnx_cannot_hold_is_named(strange, tmp_path):
    with pytest.raises(FormatError, match=r"ONNX cannot hold untranslated \(stages\[0\].*use --to torch-export"):
        export_network(chain("relu", "untranslated"), "onnx", tmp_path / "n.onnx", input_size=(8, 8), num_classes=3)
    assert list(tmp_path.iterdir()) == []


class TestWeights:
    def test_of_a_training_run(self, written, tmp_path):
        net, _ = written
        state = {name if name.startswith("head.") else f"backbone.{name}": t for name, t in net.state_dict().items()}
        torch.save({"state_dict": {**state, "data_preprocessor.mean": torch.zeros(3)}}, tmp_path / "epoch_1.pth")
        job = prepare(small(), (32, 32), weights=tmp_path / "epoch_1.pth")
        assert job.num_classes == 3
        for name, tensor in job.network.state_dict().items():
            assert torch.equal(tensor, net.state_dict()[name]), name
        assert prepare(small(), (32, 32), 0, weights=tmp_path / "epoch_1.pth").num_classes == 0

    def test_that_do_not_fit(self, written, tmp_path):
        net, folder = written
        with pytest.raises(WeightsError, match="the head has 3 classes, --classes asks for 7"):
            prepare(small(), (32, 32), 7, weights=folder / "w.safetensors")
        with pytest.raises(WeightsError, match=r"weights of another genotype"):
            prepare(chain("gelu"), (32, 32), weights=folder / "w.safetensors")
        save_weights({k: v for k, v in net.state_dict().items() if not k.startswith("head.")}, tmp_path / "b.pt")
        with pytest.raises(WeightsError, match=r"holds no head, so not one for 3 classes; --classes 0"):
            prepare(small(), (32, 32), 3, weights=tmp_path / "b.pt")


def test_smallest_free_size():
    conv = Genotype((Stage(8, small().stages[0].blocks, Downsample("conv")),), Stem((StemConv(8, 3, 2),)))
    patch = Genotype((Stage(8, small().stages[0].blocks, Downsample("patch")),), Stem((StemConv(8, 4, 4),)))
    assert prepare(conv, (32, 32), 3).smallest == 5 and prepare(patch, (32, 32), 3).smallest == 16
    with pytest.raises(DynamicError, match="give --input-size 16 or more"):
        prepare(patch, (12, 32), 3, dynamic=("size",))


def test_usage(tmp_path):
    (tmp_path / "n.onnx").write_text("")
    for arguments, match in (
        (("onx", "n.onnx"), "did you mean 'onnx'"),
        (("onnx", "n.pt2"), r"onnx is written to a file that ends in \.onnx"),
        (("onnx", "no/n.onnx"), "there is no folder"),
        (("onnx", "n.onnx"), "there is one already; --force"),
    ):
        with pytest.raises(ExportError, match=match):
            export_network(small(), arguments[0], tmp_path / arguments[1])
    with pytest.raises(ExportError, match=r"no dimension 'sizes'; did you mean 'size'"):
        parse_dynamic("batch,sizes")
    assert parse_dynamic("none") == frozenset() and parse_dynamic("batch, size") == {"batch", "size"}


def test_command(tmp_path):
    genotype = chain("gelu")
    Genotype(genotype.stages, genotype.stem, Head()).save(tmp_path / "g.yaml")
    words = ["g.yaml", "--to", "onnx", "--out", "n.onnx", "--input-size", "8x12", "--classes", "4", "--json"]
    command = [sys.executable, "-m", "uninas", "export", *words]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment())
    assert done.returncode == 0 and done.stderr == "", done.stderr
    report = json.loads(done.stdout)
    assert report["files"] == ["n.onnx"] and report["input"] == "batch x 3 x 8 x 12" and len(report["checks"]) == 3
    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment())
    assert again.returncode == 2 and "--force" in again.stderr


def environment() -> dict[str, str]:
    return {**environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
