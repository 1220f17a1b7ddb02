"""The classifier, its images, its metric, its parameter groups."""

import math

import pytest
import torch
import torch.nn.functional as F

pytest.importorskip("mmengine")

from mmengine.optim import OptimWrapper
from mmengine.registry import MODELS, OPTIM_WRAPPER_CONSTRUCTORS, OPTIM_WRAPPERS

import uninas
from uninas.engine import protocol, registered
from uninas.engine.classifier import UniNASClassifier
from uninas.engine.config import build_config
from uninas.engine.errors import DataError, EngineError
from uninas.engine.hooks import seed_everything
from uninas.engine.images import ImagePreprocessor, RepeatedAugmentation, TimmImages
from uninas.engine.metrics import TopAccuracy

TRANSFORM = {"input_size": (3, 32, 48), "crop_pct": 1.0}


def classifier(genotype, **settings) -> UniNASClassifier:
    backbone = {"type": "UniNASBackbone", "genotype": genotype.to_dict(), "out_indices": (3,), "seed": 1}
    return UniNASClassifier(backbone, num_classes=5, **settings)


@pytest.fixture
def batch() -> dict:
    generator = torch.Generator().manual_seed(0)
    return {"inputs": torch.randn(4, 3, 32, 32, generator=generator), "labels": torch.tensor([0, 1, 4, 2])}


def test_logits_are_those_of_build(genotype, batch):
    ours, plain = classifier(genotype).eval(), uninas.build(genotype, num_classes=5, seed=1).eval()
    assert torch.equal(ours(batch["inputs"]), plain(batch["inputs"]))
    names = {name.removeprefix("backbone.") for name in ours.state_dict()}
    assert names == set(plain.state_dict())


def test_a_protocol_may_start_from_weights_for_training(genotype, batch):
    """Those of `build(init="train")`, head included; without a word all start from those that scores are defined on."""
    for init in ("search", "train"):
        plan = protocol.load("tiny_digits", {"model": {"init": init}, "data": {"num_classes": 5}, "seed": 1})
        ours = MODELS.build(build_config(plan, genotype).model).eval()
        plain = uninas.build(genotype, num_classes=5, seed=1, init=init).eval()
        assert torch.equal(ours.logits(batch["inputs"]), plain(batch["inputs"]))
    assert {protocol.load(name).model.init for name in ("imagenet", "tiny_digits", "tiny_fashion")} == {"search"}


def test_losses_follow_the_settings(genotype, batch):
    plain = classifier(genotype).eval()
    logits = plain(batch["inputs"])
    assert plain(**batch, mode="loss")["loss"].item() == pytest.approx(F.cross_entropy(logits, batch["labels"]).item())
    smooth = classifier(genotype, label_smoothing=0.1).eval()
    expected = F.cross_entropy(logits, batch["labels"], label_smoothing=0.1).item()
    assert smooth(**batch, mode="loss")["loss"].item() == pytest.approx(expected)
    bce = classifier(genotype, loss="bce").eval()
    one_hot = F.one_hot(batch["labels"], 5).float()
    expected_bce = F.binary_cross_entropy_with_logits(logits, one_hot).item()
    assert bce(**batch, mode="loss")["loss"].item() == pytest.approx(expected_bce)
    seed_everything(0)
    mixed = classifier(genotype, mixup=0.8, cutmix=1.0).eval()
    assert mixed(**batch, mode="loss")["loss"].item() != pytest.approx(expected)
    with pytest.raises(EngineError, match="needs labels"):
        plain(batch["inputs"], mode="loss")


def test_predictions_and_accuracy(genotype, batch):
    model = classifier(genotype).eval()
    metric = TopAccuracy(topk=(1, 2, 5))
    metric.process(batch, model(**batch, mode="predict"))
    found = metric.compute_metrics(metric.results)
    order = model(batch["inputs"]).argsort(1, descending=True)
    hits = [(order[:, :k] == batch["labels"][:, None]).any(1).float().mean().item() * 100 for k in (1, 2, 5)]
    loss = F.cross_entropy(model(batch["inputs"]), batch["labels"]).item()
    assert found == pytest.approx({"top1": hits[0], "top2": hits[1], "top5": 100, "cross_entropy": loss}, rel=1e-5)
    assert hits[2] == 100
    scores = model(batch["inputs"], mode="predict")[0]["scores"]
    assert scores.sum().item() == pytest.approx(1)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 0.0, 7.5, 1e-30])
def test_a_diverged_network_scores_nothing(value):
    samples = [{"logits": torch.full((8,), value), "label": label} for label in range(8)]
    metric = TopAccuracy()
    metric.process(None, samples)
    found = metric.compute_metrics(metric.results)
    assert (found["top1"], found["top5"]) == (0, 0)
    assert found.get("cross_entropy") == (pytest.approx(math.log(8)) if math.isfinite(value) else None)


def test_one_bad_output_does_not_take_the_others_along():
    samples = [{"logits": torch.eye(6)[label], "label": label} for label in range(6)]
    samples[2]["logits"] = samples[2]["logits"] * float("nan")
    metric = TopAccuracy(topk=(1,))
    metric.process(None, samples)
    assert metric.compute_metrics(metric.results)["top1"] == pytest.approx(100 * 5 / 6)


def test_the_last_stage_is_needed(genotype):
    backbone = {"type": "UniNASBackbone", "genotype": genotype.to_dict(), "out_indices": (0, 1)}
    with pytest.raises(EngineError, match="needs the last stage, 3"):
        UniNASClassifier(backbone, num_classes=5)


class TestImages:
    def test_items(self, folders):
        data = TimmImages(str(folders), "train", TRANSFORM)
        assert len(data) == 32 and len(data.metainfo["classes"]) == 8
        item = data[5]
        assert item["inputs"].shape == (3, 32, 48) and item["inputs"].dtype == torch.uint8
        assert sorted({data[i]["labels"] for i in range(32)}) == list(range(8))

    def test_the_same_from_a_tar(self, folders, tmp_path):
        import tarfile

        with tarfile.open(tmp_path / "train.tar", "w") as tar:
            for entry in sorted((folders / "train").iterdir()):
                tar.add(entry, entry.name)
        tarred, plain = (TimmImages(str(root), "train", TRANSFORM) for root in (tmp_path, folders))
        assert len(tarred) == len(plain)
        assert sorted(tarred[i]["inputs"].float().mean().item() for i in range(8)) == pytest.approx(
            sorted(plain[i]["inputs"].float().mean().item() for i in range(8)), abs=1e-3
        )

    def test_a_broken_image_is_named(self, tmp_path):
        (tmp_path / "train" / "a").mkdir(parents=True)
        (tmp_path / "train" / "a" / "x.jpg").write_bytes(b"nothing")
        with pytest.raises(DataError, match=r"train/a/x\.jpg: cannot be read as an image"):
            TimmImages(str(tmp_path), "train", TRANSFORM)[0]

    def test_a_split_that_lacks_a_class_keeps_the_numbers_of_the_others(self, folders, tmp_path):
        import shutil

        shutil.copytree(folders, tmp_path / "d")
        shutil.rmtree(tmp_path / "d" / "val" / "n90000002")
        data = TimmImages(str(tmp_path / "d"), "val", TRANSFORM, classes_of="train")
        whole = TimmImages(str(folders), "val", TRANSFORM, classes_of="train")
        assert {data[i]["labels"] for i in range(len(data))} == {0, 1, 3, 4, 5, 6, 7}
        assert data.metainfo == whole.metainfo and len(data) == 14

    def test_they_are_normalised_and_erased_on_the_device(self):
        from timm.data.constants import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
        from torchvision.transforms.functional import normalize

        images = torch.randint(0, 256, (4, 3, 16, 16), dtype=torch.uint8)
        batch = {"inputs": images, "labels": torch.arange(4)}
        prepare = ImagePreprocessor(IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD, erasing=1.0)
        expected = normalize(images / 255, list(IMAGENET_DEFAULT_MEAN), list(IMAGENET_DEFAULT_STD))
        torch.testing.assert_close(prepare(batch)["inputs"], expected)
        changed = (prepare(batch, training=True)["inputs"] - expected).abs().amax(1) > 1e-3
        assert changed.flatten(1).any(1).all() and not changed.all()
        assert not prepare.state_dict()

    def test_repeated_augmentation(self):
        sampler = RepeatedAugmentation(range(300), num_repeats=3, seed=1)
        sampler.set_epoch(2)
        seen = list(sampler)
        assert len(seen) == len(sampler) == 256 and len(set(seen)) == -(-256 // 3)
        assert seen == list(sampler)
        sampler.set_epoch(3)
        assert seen != list(sampler)

    def test_what_timm_does_not_know(self, tmp_path):
        with pytest.raises(DataError, match="Unknown torchvision dataset nothing"):
            TimmImages(str(tmp_path), "val", TRANSFORM, source="torch/nothing")

    def test_a_missing_split(self, tmp_path):
        with pytest.raises(DataError, match=r"val: there is neither such a folder"):
            TimmImages(str(tmp_path), "val", TRANSFORM)
        (tmp_path / "val").mkdir()
        with pytest.raises(DataError, match="0 images"):
            TimmImages(str(tmp_path), "val", TRANSFORM)


def optimizer_of(model, **paramwise) -> torch.optim.Optimizer:
    cfg = {"type": "OptimWrapper", "optimizer": {"type": "AdamW", "lr": 1.0, "weight_decay": 0.1}}
    constructor = {"type": "UniNASOptimWrapperConstructor", "optim_wrapper_cfg": cfg, "paramwise_cfg": paramwise}
    return OPTIM_WRAPPER_CONSTRUCTORS.build(constructor)(model).optimizer


def test_vectors_and_position_tables_do_not_decay(genotype):
    model = classifier(genotype)
    groups = optimizer_of(model).param_groups
    assert {group["weight_decay"] for group in groups} == {0.0, 0.1} and len(groups) == 2
    kept = {id(p) for group in groups if group["weight_decay"] == 0 for p in group["params"]}
    for name, parameter in model.named_parameters():
        assert (id(parameter) in kept) == (parameter.ndim <= 1 or name.endswith(".table")), name


def test_the_keys_of_mmengine_work(genotype):
    model = classifier(genotype)
    keys = {"norm_decay_mult": 1.0, "bias_lr_mult": 2.0, "custom_keys": {"head": {"lr_mult": 10.0, "decay_mult": 0.5}}}
    settings = {id(p): group for group in optimizer_of(model, **keys).param_groups for p in group["params"]}
    named = {name: settings[id(p)] for name, p in model.named_parameters()}
    assert named["backbone.stem.1.weight"]["weight_decay"] == 0.1  # a batch norm
    head = [group for name, group in named.items() if name.startswith("head.")]
    assert head and all(group["lr"] == 10.0 and group["weight_decay"] == 0.05 for group in head)
    biases = [
        group["lr"] for name, group in named.items() if name.endswith(".qkv.bias") or name == "backbone.stem.3.bias"
    ]
    assert biases and set(biases) == {2.0}


def test_earlier_blocks_learn_slower(genotype):
    model = classifier(genotype)
    rates = {id(p): group["lr"] for group in optimizer_of(model, layer_decay=0.5).param_groups for p in group["params"]}
    named = dict(model.named_parameters())
    assert rates[id(named["backbone.stem.0.weight"])] == pytest.approx(0.5**5)
    first = next(p for name, p in named.items() if name.startswith("backbone.stages.3."))
    assert rates[id(first)] == pytest.approx(0.5)
    assert rates[id(next(p for name, p in named.items() if name.startswith("head.")))] == 1.0


def test_frozen_parameters_are_left_out(genotype):
    model = classifier(genotype)
    model.backbone.stem.requires_grad_(False)
    held = {id(p) for group in optimizer_of(model).param_groups for p in group["params"]}
    assert not held & {id(p) for p in model.backbone.stem.parameters()}
    with pytest.raises(EngineError, match="no get_layer_depth"):
        optimizer_of(torch.nn.Linear(2, 2), layer_decay=0.5)


@pytest.mark.skipif(torch.cuda.is_available(), reason="about machines without a GPU")
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_mixed_precision_on_a_cpu_computes_in_bfloat16(dtype, genotype, batch):
    model = classifier(genotype)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    wrapper = OPTIM_WRAPPERS.build({"type": "MixedPrecisionOptimWrapper", "dtype": dtype, "optimizer": optimizer})
    assert isinstance(wrapper, OptimWrapper) and registered.MODULES
    before = model.head[0].weight.clone() if hasattr(model.head[0], "weight") else None
    with wrapper.optim_context(model):
        assert model(batch["inputs"]).dtype == torch.bfloat16
        loss = model(**batch, mode="loss")["loss"]
    wrapper.update_params(loss)
    assert all(p.dtype == torch.float32 for p in model.parameters())
    assert before is None or not torch.equal(before, model.head[0].weight)
    wrapper.load_state_dict(wrapper.state_dict())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_mixed_precision_on_a_gpu(dtype, genotype, batch):
    model = classifier(genotype).cuda()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    wrapper = OPTIM_WRAPPERS.build({"type": "MixedPrecisionOptimWrapper", "dtype": dtype, "optimizer": optimizer})
    with wrapper.optim_context(model):
        assert model(batch["inputs"].cuda()).dtype == getattr(torch, dtype)
    assert wrapper.loss_scaler.is_enabled() == (dtype == "float16")
