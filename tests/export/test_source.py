"""Networks as Python files: they run without uninas, give the same numbers, and read as our own files do."""

from __future__ import annotations

import random
import statistics
import subprocess
import sys
from dataclasses import dataclass
from os import environ
from pathlib import Path

import pytest
import torch
from graphs import small_published, wrap
from small import chain
from torch import nn

import uninas
from uninas.blocks import PUBLISHED
from uninas.compiler import save_weights
from uninas.export.errors import DifferenceError, ExportError, FormatError
from uninas.export.job import prepare
from uninas.export.run import export_network
from uninas.export.source import source_text, writes
from uninas.export.source.operations import WRITERS, Written
from uninas.export.source.write import write
from uninas.export.verify import trained_twin
from uninas.genotype import Block, Genotype, GraphBuilder, Stage, SubBlock
from uninas.ops import Op
from uninas.ops.base import REGISTRY
from uninas.search import Space

ROOT = Path(__file__).parents[2]
WIDTHS = {"widths": (16, 32, 64, 64), "depths": (1, 1, 2, 1), "input_size": 64}
NAMED = ("resnet", "efficientnet", "vit", "coatnet", "convnext")
MUTATED = [(space, seed) for space in ("uninas_tiny", "uninas") for seed in range(2)]

WITHOUT_UNINAS = """
import importlib.util, pathlib, sys
class Forbid:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "uninas":
            raise ImportError("uninas is not to be had here")
sys.meta_path.insert(0, Forbid())
import torch
torch.set_num_threads(1)
for file in sorted(pathlib.Path(sys.argv[1]).glob("*.py")):
    spec = importlib.util.spec_from_file_location(file.stem, file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    network = module.load(str(file.with_suffix(".safetensors")))
    images = torch.load(file.with_suffix(".images"))
    with torch.no_grad():
        torch.save([network(x) for x in images], file.with_suffix(".found"))
assert not [name for name in sys.modules if name.partition(".")[0] == "uninas"]
"""


def mutated(space: str, seed: int) -> Genotype:
    found, rng = Space.load(space), random.Random(seed)
    genotype = found.start(list(found.starts)[seed % len(found.starts)])
    for _ in range(25):
        genotype = found.mutate(genotype, rng)
    return genotype


def genotypes() -> dict[str, Genotype]:
    found = {name: uninas.blocks.network(name, **WIDTHS) for name in NAMED}
    found["mobilenet"] = uninas.blocks.network("resnet", **WIDTHS, blocks=("inverted_residual",) * 4)
    found |= {name: uninas.blocks.network(name, **small_published(name), input_size=64) for name in PUBLISHED}
    found["authors"] = Genotype.load(ROOT / "tests" / "genotype" / "assets" / "v1_authors.yaml")
    found["everything"] = Genotype.load(ROOT / "tests" / "genotype" / "assets" / "v1_everything.yaml")
    return found | {f"{space}_{seed}": mutated(space, seed) for space, seed in MUTATED}


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> tuple[Path, dict[str, Genotype]]:
    """Sources with weights of networks that look trained, and images beside them."""
    pytest.importorskip("safetensors")
    folder, found = tmp_path_factory.mktemp("sources"), genotypes()
    for name, genotype in found.items():
        trained = trained_twin(uninas.build(genotype, 7).eval(), torch.randn(2, 3, 64, 64))
        save_weights(trained, folder / "w.pt")
        done = export_network(genotype, "source", folder / f"{name}.py", input_size=(64, 64), weights=folder / "w.pt")
        assert done.files == (folder / f"{name}.py", folder / f"{name}.safetensors") and done.difference < 1e-4
        images = [torch.randn(2, 3, 64, 64), torch.randn(1, 3, 67, 90)]
        torch.save(images, folder / f"{name}.images")
        with torch.no_grad():
            torch.save([trained(x) for x in images], folder / f"{name}.expected")
    return folder, found


@pytest.mark.slow
def test_they_run_where_uninas_cannot_be_imported(files):
    folder, found = files
    done = subprocess.run([sys.executable, "-c", WITHOUT_UNINAS, folder], capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr
    for name in found:
        for ours, theirs in zip(torch.load(folder / f"{name}.expected"), torch.load(folder / f"{name}.found")):
            assert (ours - theirs).abs().max() <= 1e-4 * max(1.0, ours.abs().max()), name


@pytest.mark.slow
def test_they_pass_our_rules(files):
    folder, _ = files
    for words in (["ruff", "check"], ["ruff", "format", "--check"], ["pyright", "--project"]):
        options = [ROOT / "pyproject.toml"] if words[0] == "pyright" else ["--config", ROOT / "pyproject.toml"]
        paths = sorted(folder.glob("*.py"))
        done = subprocess.run([sys.executable, "-m", *words, *options, *paths], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_they_are_short(files):
    folder, found = files
    lengths = {file.stem: len(file.read_text().splitlines()) for file in folder.glob("*.py")}
    assert set(lengths) == set(found)
    assert statistics.median(lengths.values()) < 600 and lengths["coatnet"] < 300


def test_a_class_for_each_graph_with_arguments_for_widths():
    text = source_text(uninas.blocks.network("coatnet", **WIDTHS), 10, (64, 64))
    assert text.count("class Attention(nn.Module)") == text.count("class Mlp(nn.Module)") == 1
    assert "Attention(64, heads=2, bias_size=4)" in text and "Attention(64, heads=2, bias_size=2)" in text
    assert "q, k, v = torch.chunk(x, 3, dim=1)" in text
    assert "x = attention(q, k, v, self.heads, self.rel_pos_bias(*size))" in text
    assert "import uninas" not in text and "from uninas" not in text


def test_the_docstring_has_the_counts():
    genotype = uninas.blocks.network("convnext", **WIDTHS)
    text, cost = source_text(genotype, 10, (64, 96)), uninas.cost(genotype, (64, 96), 10)
    assert genotype.key in text and f"{cost.params:,} with 10 classes" in text
    assert f"{cost.macs:,} for an image of 64 x 96" in text


@pytest.mark.parametrize("name", ["block", 'a """ \\ name', "\n", "3d", "ﬁ", "Tensor", "Attention", None])
def test_any_name_will_do(name, tmp_path):
    b = GraphBuilder()
    q = b.add("conv", b.input)
    graph = b.build(b.add("matmul2", b.add("softmax", b.add("matmul1", q, q, heads=2)), q, heads=2))
    genotype = Genotype(wrap(graph).stages, wrap(graph).stem, name=name)
    checks, _ = write(prepare(genotype, (8, 8), 3), None, tmp_path / "n.py", None)
    assert len(checks) == 6


def test_pooled_features(tmp_path):
    genotype = uninas.blocks.network("resnet", **WIDTHS)
    done = export_network(genotype, "source", tmp_path / "n.py", input_size=(32, 32), num_classes=0)
    assert done.difference < 1e-4 and "num_classes" not in (tmp_path / "n.py").read_text()


class TestVariables:
    """Values that live side by side keep names of their own."""

    def check(self, graph, tmp_path) -> str:
        genotype = wrap(graph)
        twin = trained_twin(uninas.build(genotype, 3).eval(), torch.randn(2, 3, 8, 8))
        checks, _ = write(prepare(genotype, (8, 8), 3), twin, tmp_path / "n.py", None)
        assert max(check.difference for check in checks) < 1e-4
        return (tmp_path / "n.py").read_text()

    def test_input_needed_again_behind_branches(self, tmp_path):
        b = GraphBuilder()
        left = b.chain(b.input, "conv", "gelu")
        right = b.chain(b.input, "dwconv", "relu")
        gate = b.add("upsample", b.chain(b.input, "global_avg_pool", "conv"))
        text = self.check(b.build(b.add("add", b.add("multiply", left, gate), right, b.input, left)), tmp_path)
        assert "y = F.gelu(self.conv(x))" in text

    def test_many_values_and_unused_ports(self, tmp_path):
        b = GraphBuilder()
        branches = [b.add("conv", b.input) for _ in range(9)]
        first, _, third, _ = b.ports(b.add("chunk", b.input, parts=4))
        joined = b.add("conv", b.add("concat", third, first), ratio=2)
        text = self.check(b.build(b.add("add", *branches, joined, *branches)), tmp_path)
        assert ", _ = torch.chunk(x, 4, dim=1)" in text

    def test_scores_used_twice_are_not_fused(self, tmp_path):
        b = GraphBuilder()
        q, k, v = b.ports(b.add("chunk", b.add("conv", b.input, ratio=3), parts=3))
        scores = b.add("rel_pos_bias", b.add("matmul1", q, k, heads=2), size=3)
        weights = b.add("softmax", scores)
        out = b.add("add", b.add("matmul2", weights, v, heads=2), b.add("matmul2", scores, v, heads=2))
        assert "F.softmax(scores, dim=-1)" in self.check(b.build(out), tmp_path)

    def test_masks_and_biases_in_attention(self, tmp_path):
        b = GraphBuilder()
        x = b.input
        a = b.add("mask", b.add("matmul1", x, x, heads=2), band=3, fill="exclude")
        a = b.add("mask", b.add("rel_pos_bias", a, size=3), band=5, fill="exclude")
        text = self.check(b.build(b.add("matmul2", b.add("softmax", a), x, heads=2)), tmp_path)
        assert "attention(x, x, x, self.heads, band_bias_of(x, 3) + self.rel_pos_bias(*size)" in text

    def test_position_biases_on_maps(self, tmp_path):
        b = GraphBuilder()
        x = b.add("shared_pos_bias", b.add("conv", b.input), size=2)
        text = self.check(b.build(b.add("shared_pos_bias", x, size=3)), tmp_path)
        assert "x = x + self.shared_pos_bias(*x.shape[2:])" in text

    def test_nothing_at_all(self, tmp_path):
        b = GraphBuilder()
        assert "return x" in self.check(b.build(b.input), tmp_path)


@pytest.fixture
def strange():
    @dataclass(frozen=True)
    class Tanh(Op):
        name = "tanh"

        def build(self, inputs):
            return nn.Tanh()

    b = GraphBuilder()
    yield wrap(b.build(b.add("tanh", b.input)))
    del REGISTRY["tanh"]
    WRITERS.pop("tanh", None)


def test_an_operation_of_ones_own(strange, tmp_path):
    with pytest.raises(FormatError, match=r"no words for the operation tanh: .*export\.source\.writes"):
        export_network(strange, "source", tmp_path / "n.py", input_size=(8, 8))
    writes("tanh")(lambda op, where: Written("torch.tanh({0})", inline=True))
    assert export_network(strange, "source", tmp_path / "n.py", input_size=(8, 8)).difference < 1e-6


def test_a_wrong_word_is_noticed(tmp_path, monkeypatch):
    monkeypatch.setitem(WRITERS, "gelu", lambda op, where: Written("F.relu({0})"))
    with pytest.raises(DifferenceError, match="the source with other weights"):
        export_network(chain("conv", "gelu"), "source", tmp_path / "n.py", input_size=(8, 8))
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(tmp_path):
    save_weights(uninas.build(chain("conv", "gelu"), 3), tmp_path / "w.pt")
    (tmp_path / "n.safetensors").write_text("mine")
    with pytest.raises(ExportError, match=r"n\.safetensors: there is one already; --force"):
        export_network(chain("conv", "gelu"), "source", tmp_path / "n.py", input_size=(8, 8), weights=tmp_path / "w.pt")
    assert (tmp_path / "n.safetensors").read_text() == "mine" and not (tmp_path / "n.py").exists()


class TestBackbones:
    """Sources for OpenMMLab."""

    def small(self) -> Genotype:
        return uninas.blocks.network("coatnet", widths=(8, 16, 32, 32), depths=(1, 1, 1, 1), input_size=64)

    @pytest.mark.parametrize("framework", ["mmdet", "mmseg"])
    def test_settings(self, framework, tmp_path):
        pytest.importorskip(framework)
        net = trained_twin(uninas.build(self.small(), 3).eval(), torch.randn(2, 3, 64, 64))
        state = {name if name.startswith("head.") else f"backbone.{name}": t for name, t in net.state_dict().items()}
        torch.save({"state_dict": state}, tmp_path / "epoch_1.pth")
        out = tmp_path / f"found_{framework}.py"
        arguments = {"input_size": (64, 64), "weights": tmp_path / "epoch_1.pth", "framework": framework}
        done = export_network(self.small(), "source", out, **arguments)
        assert done.difference < 1e-4 and done.files[1].suffix == ".pth"
        code = (
            f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import {out.stem}, torch\n"
            f"from {framework}.registry import MODELS\n"
            "assert MODELS.module_dict['CoatnetBackbone'] is " + out.stem + ".CoatnetBackbone\n"
            f"init_cfg = dict(type='Pretrained', checkpoint={str(done.files[1])!r})\n"
            "settings = dict(out_indices=(0, 2), frozen_stages=1, norm_eval=True, init_cfg=init_cfg)\n"
            "net = MODELS.module_dict['CoatnetBackbone'](**settings)\n"
            "net.init_weights(); net.train()\n"
            "assert [tuple(x.shape) for x in net(torch.randn(1, 3, 64, 64))] == [(1, 8, 16, 16), (1, 32, 4, 4)]\n"
            "assert len(net.stages) == 3\n"
            "frozen = [name for name, p in net.named_parameters() if not p.requires_grad]\n"
            "assert {name.split('.')[0] for name in frozen} == {'stem', 'stages'}\n"
            "assert {name.split('.')[1] for name in frozen if name.startswith('stages')} == {'0'}\n"
            "assert not [m for m in net.modules() if isinstance(m, torch.nn.BatchNorm2d) and m.training]\n"
            f"state = torch.load({str(done.files[1])!r})\n"
            "assert all(torch.equal(t, state[name]) for name, t in net.state_dict().items())\n"
            "assert 'uninas' not in sys.modules"
        )
        ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
        assert ran.returncode == 0, ran.stderr

    def test_faults(self, tmp_path):
        with pytest.raises(ExportError, match=r"no 'mmdett'; did you mean 'mmdet'"):
            export_network(self.small(), "source", tmp_path / "n.py", framework="mmdett")
        pytest.importorskip("mmdet")
        with pytest.raises(ExportError, match=r"my-net\.py: a config imports the file"):
            export_network(self.small(), "source", tmp_path / "my-net.py", framework="mmdet")
        with pytest.raises(ExportError, match="--framework is for --to source"):
            export_network(self.small(), "onnx", tmp_path / "n.onnx", framework="mmdet")

    @pytest.mark.slow
    @pytest.mark.parametrize("framework", ["mmdet", "mmseg"])
    def test_stock_tools_train_with_it(self, framework, tmp_path):
        pytest.importorskip(framework)
        from mmengine.config import Config

        from uninas.export.openmmlab import export
        from uninas.toydata import make

        kind = {"mmdet": "coco", "mmseg": "ade"}[framework]
        make(f"tiny-{kind}", tmp_path / "data", train=4, val=2)
        changes = {"data": {"input_size": [64, 96]}, "model": {"head_width": 16}, "log_every": 1}
        root = str(tmp_path / "data")
        config = export(self.small(), framework, tmp_path / "x", None, None, f"tiny_{kind}", changes, root).config
        export_network(self.small(), "source", tmp_path / "found.py", input_size=(64, 64), framework=framework)
        cfg = Config.fromfile(config, import_custom_modules=False)
        cfg.model.backbone = {"type": "CoatnetBackbone"}
        cfg.custom_imports = {"imports": ["found"]}
        cfg.train_dataloader.batch_size = 2  # mmdet batches images of like shape: of 4, two are
        cfg.custom_hooks = []  # what follows takes out what uninas registers, so that the source stands alone
        for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
            loader.pop("worker_init_fn", None)
        cfg.optim_wrapper = {"type": "OptimWrapper", "optimizer": {"type": "AdamW", "lr": 1e-4}}
        cfg.dump(tmp_path / "config.py")
        options = ["--work-dir", "work", "--cfg-options", "train_cfg.max_epochs=1", "train_cfg.val_interval=9"]
        ran = subprocess.run(
            [sys.executable, "-m", "uninas", "mm", "train", "config.py", *options],
            cwd=tmp_path,
            env={**environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": f"{ROOT}:{tmp_path}"},
            capture_output=True,
            text=True,
        )
        assert ran.returncode == 0, ran.stderr[-3000:]
        checkpoint = torch.load(tmp_path / "work" / "epoch_1.pth", weights_only=False)
        assert checkpoint["optimizer"]["state"]  # a step was taken
        names = {f"backbone.{name}" for name in uninas.build(self.small(), features_only=True).state_dict()}
        assert names <= set(checkpoint["state_dict"])


def test_every_operation_has_words():
    """So that adding an operation and forgetting its words is noticed here."""
    missing = sorted(set(REGISTRY) - set(WRITERS))
    assert not missing, f"uninas/export/source/operations.py has no words for {missing}"


@pytest.mark.parametrize("size", [(32, 32), (45, 38)])
def test_what_only_the_authors_networks_have(size, tmp_path):
    """Plain pools and position biases anywhere, at sides that halve and at sides that do not."""
    genotype = Genotype.load(ROOT / "tests" / "genotype" / "assets" / "v1_authors.yaml")
    done = export_network(genotype, "source", tmp_path / "n.py", input_size=size, num_classes=3)
    assert done.difference < 1e-5 and "nn.AvgPool2d(2)" in (tmp_path / "n.py").read_text()


def test_frames_of_every_kind(tmp_path):
    """Downsampling of each kind, norms and activations around sub-blocks, and a head that pools first."""
    from uninas.genotype import Downsample, Head, Stem, StemConv

    b = GraphBuilder()
    graph = b.build(b.add("conv", b.input, kernel=3))
    kinds = ("none", "pool", "patch", "basic", "conv", "project")
    norms, activations = ("batch", None, "group", "rms", "layer", "batch"), (None, "gelu", "relu", "silu", None, None)
    stages = [
        Stage(16, (Block((SubBlock(graph, norm, residual=i % 2 == 0, activation=act),)),), Downsample(kind))
        for i, (kind, norm, act) in enumerate(zip(kinds, norms, activations))
    ]
    stem = Stem((StemConv(8, 3, 1, norm="batch", activation="hardswish"), StemConv(16, 2, 2)))
    head = Head(norm="rms", activation="silu", dropout=0.1, pool_first=True)
    genotype = Genotype(tuple(stages), stem, head)
    done = export_network(genotype, "source", tmp_path / "n.py", input_size=(64, 64), num_classes=3)
    assert done.difference < 1e-5
