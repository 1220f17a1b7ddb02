"""The registered backbone: features, freezing, checkpoints, layer depths."""

import copy

import pytest
import torch

pytest.importorskip("mmengine")

from mmengine.registry import MODELS, DefaultScope

import uninas
from uninas.engine import registered
from uninas.engine.backbone import UniNASBackbone, as_genotype
from uninas.engine.errors import EngineError
from uninas.engine.weights import load_backbone, read_checkpoint


def weights_of(module) -> dict:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


@pytest.fixture
def trained(genotype, tmp_path):
    """A checkpoint as a classification run leaves it: other weights than the initial ones, names with a prefix."""
    backbone = UniNASBackbone(genotype, seed=5)
    state = {f"backbone.{name}": tensor for name, tensor in backbone.state_dict().items()}
    torch.save({"state_dict": {**state, "head.1.weight": torch.zeros(3, 32)}, "meta": {}}, tmp_path / "epoch_3.pth")
    return backbone, tmp_path / "epoch_3.pth"


@pytest.mark.parametrize("scope", ["mmengine", "mmdet", "mmseg"])
def test_one_registration_is_found_from_every_scope(scope, genotype):
    if scope != "mmengine":
        pytest.importorskip(scope)
    with DefaultScope.overwrite_default_scope(scope):
        built = MODELS.build({"type": "UniNASBackbone", "genotype": genotype.to_dict()})
    assert isinstance(built, UniNASBackbone) and registered.MODULES


def test_features_of_any_size_and_their_declarations(genotype):
    backbone = UniNASBackbone(genotype, out_indices=(0, 2, 3)).eval()
    for height, width in ((64, 64), (40, 72), (33, 65)):
        features = backbone(torch.randn(1, 3, height, width))
        assert [f.shape[1] for f in features] == list(backbone.channels) == [8, 32, 32]
        for feature, stride in zip(features, backbone.strides):
            assert feature.shape[2:] == (-(-height // stride), -(-width // stride))


def test_names_and_numbers_are_those_of_build(genotype):
    backbone, plain = UniNASBackbone(genotype, seed=3), uninas.build(genotype, seed=3, features_only=True)
    assert list(backbone.state_dict()) == list(plain.state_dict())
    image = torch.randn(2, 3, 32, 48)
    for ours, theirs in zip(backbone.eval()(image), plain.eval()(image)):
        assert torch.equal(ours, theirs)


def test_the_genotype_comes_inline_as_text_as_a_file_or_by_name(genotype, tmp_path):
    import json

    genotype.save(tmp_path / "g.yaml")
    for form in (genotype, genotype.to_dict(), json.dumps(genotype.to_dict()), str(tmp_path / "g.yaml")):
        assert as_genotype(form) == genotype
    assert as_genotype("coatnet") == uninas.blocks.network("coatnet")


def test_copies_work_on_their_own(genotype):
    backbone = UniNASBackbone(genotype).eval()
    other = copy.deepcopy(backbone)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    image = torch.randn(1, 3, 32, 32)
    assert not torch.equal(backbone(image)[-1], other(image)[-1])


def test_outputs_are_normalised_for_heads_on_request(genotype):
    plain, normed = (UniNASBackbone(genotype, (1, 3), out_norm=norm, seed=2).eval() for norm in (False, True))
    image = torch.randn(2, 3, 64, 48)
    for raw, feature in zip(plain(image), normed(image)):
        assert feature.mean(1).abs().max() < 1e-4 and (feature.std(1, correction=0) - 1).abs().max() < 1e-2
        torch.testing.assert_close(
            feature,
            torch.nn.functional.layer_norm(raw.permute(0, 2, 3, 1), raw.shape[1:2], eps=1e-6).permute(0, 3, 1, 2),
        )
    assert [n for n in normed.state_dict() if n.startswith("out_norms")] == [
        f"out_norms.{i}.{w}" for i in (1, 3) for w in ("weight", "bias")
    ]
    assert normed.get_layer_depth("out_norms.1.weight") == normed.get_layer_depth("head.weight")


def test_channels_last_changes_no_numbers_and_acts_on_a_gpu_only(genotype):
    image = torch.randn(2, 3, 32, 32)
    plain, other = UniNASBackbone(genotype).eval(), UniNASBackbone(genotype, channels_last=True).eval()
    torch.testing.assert_close(plain(image)[-1], other(image)[-1])
    assert other.channels_last == torch.cuda.is_available()


def test_torch_compile_is_asked_for_the_network_with_its_arguments(genotype, monkeypatch):
    asked = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda module, **options: asked.append((module, options)))
    networks = [UniNASBackbone(genotype, compile=value).network for value in (False, True, {"mode": "max-autotune"})]
    assert asked == [(networks[1], {}), (networks[2], {"mode": "max-autotune"})]


@pytest.mark.parametrize("frozen", [-1, 0, 1, 2])
def test_frozen_stages_have_no_gradients_and_stay_in_eval_mode(genotype, frozen):
    backbone = UniNASBackbone(genotype, frozen_stages=frozen).train()
    sum(f.sum() for f in backbone(torch.randn(2, 3, 32, 32))).backward()
    for name, parameter in backbone.named_parameters():
        stage = -1 if name.startswith("stem") else int(name.split(".")[1])
        assert (parameter.grad is None) == (stage < frozen), name
    modes = {m.training for m in backbone.stem.modules()}
    assert modes == ({True} if frozen == -1 else {False})
    backbone.eval()
    backbone.train()
    assert {m.training for m in backbone.stem.modules()} == modes


def test_norm_eval_keeps_batch_norms_as_stored(genotype):
    backbone = UniNASBackbone(genotype, norm_eval=True).train()
    norms = [m for m in backbone.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    before = [norm.running_mean.clone() for norm in norms]
    backbone(torch.randn(4, 3, 32, 32) + 3)
    assert norms and all(torch.equal(norm.running_mean, mean) for norm, mean in zip(norms, before))


def test_checkpointing_gives_the_same_gradients(genotype):
    image = torch.randn(2, 3, 32, 32)
    gradients = []
    for with_cp in (False, True):
        backbone = UniNASBackbone(genotype, with_cp=with_cp).train()
        sum(f.square().mean() for f in backbone(image)).backward()
        gradients.append([p.grad for p in backbone.parameters()])
    for plain, recomputed in zip(*gradients):
        torch.testing.assert_close(plain, recomputed)


def test_drop_path_acts_in_training_only(genotype):
    backbone = UniNASBackbone(genotype, drop_path_rate=0.5)
    image = torch.randn(1, 3, 32, 32)
    backbone.eval()
    assert torch.equal(backbone(image)[-1], backbone(image)[-1])
    backbone.train()
    torch.manual_seed(0)
    assert len({backbone(image)[-1].sum().item() for _ in range(6)}) > 1


def test_sync_bn_goes_there_and_back(genotype):
    backbone = UniNASBackbone(genotype)
    synced = torch.nn.SyncBatchNorm.convert_sync_batchnorm(copy.deepcopy(backbone))
    kinds = {type(m).__name__ for m in synced.modules()}
    assert "SyncBatchNorm" in kinds and "BatchNorm2d" not in kinds
    from mmengine.model import revert_sync_batchnorm

    image = torch.randn(1, 3, 32, 32)
    back = revert_sync_batchnorm(synced).eval()
    torch.testing.assert_close(back(image)[-1], backbone.eval()(image)[-1])


def test_layer_depths_and_decay(genotype):
    backbone = UniNASBackbone(genotype)
    depths = [backbone.get_layer_depth(f"backbone.{name}", "backbone.")[0] for name, _ in backbone.named_parameters()]
    assert depths == sorted(depths) and depths[0] == 0 and max(depths) == 4
    assert all(name.endswith(".table") for name in backbone.no_weight_decay())


class TestCheckpoints:
    @pytest.mark.parametrize("prefix", [None, "backbone."])
    def test_of_a_classifier(self, genotype, trained, prefix):
        source, file = trained
        cfg = {"type": "Pretrained", "checkpoint": str(file)} | ({"prefix": prefix} if prefix else {})
        backbone = UniNASBackbone(genotype, init_cfg=cfg)
        assert not torch.equal(backbone.stem[0].weight, source.stem[0].weight)
        backbone.init_weights()
        for name, tensor in source.state_dict().items():
            assert torch.equal(backbone.state_dict()[name], tensor)

    def test_the_report_counts(self, genotype, trained):
        report = load_backbone(UniNASBackbone(genotype), trained[1])
        assert report.prefix == "backbone." and report.missing == () and report.ignored == 1
        assert f"{len(report.loaded)} of {len(report.loaded)} tensors loaded, 1 others ignored" in str(report)

    def test_a_shorter_backbone_takes_its_part(self, genotype, trained):
        report = load_backbone(UniNASBackbone(genotype, out_indices=(0, 1)), trained[1])
        assert report.missing == () and report.ignored > 1

    def test_of_a_classifier_into_a_backbone_with_norms_of_its_own(self, genotype, trained):
        report = load_backbone(UniNASBackbone(genotype, out_norm=True), trained[1])
        assert len(report.missing) == 8 and all(name.startswith("out_norms.") for name in report.missing)

    def test_the_norms_come_back_too(self, genotype, tmp_path):
        source = UniNASBackbone(genotype, out_norm=True)
        torch.nn.init.normal_(source.out_norms["2"].weight)
        torch.save({"state_dict": source.state_dict()}, tmp_path / "w.pth")
        backbone = UniNASBackbone(genotype, out_norm=True)
        assert not load_backbone(backbone, tmp_path / "w.pth").missing
        assert torch.equal(backbone.out_norms["2"].weight, source.out_norms["2"].weight)

    def test_from_a_url(self, genotype, trained, tmp_path, monkeypatch):
        monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub"))
        url = trained[1].as_uri()
        assert len(read_checkpoint(url)["state_dict"]) == len(trained[0].state_dict()) + 1
        trained[1].unlink()
        assert read_checkpoint(url)["state_dict"]  # downloaded once
        with pytest.raises(EngineError, match=r"none\.pth: cannot be downloaded"):
            read_checkpoint((tmp_path / "none.pth").as_uri())

    def test_a_wrong_prefix_is_told_the_right_one(self, genotype, trained):
        with pytest.raises(
            EngineError, match=r"epoch_3\.pth: no weight .* prefix 'net\.': .* under prefix='backbone\.'"
        ):
            load_backbone(UniNASBackbone(genotype), trained[1], prefix="net.")

    def test_another_genotype_is_refused(self, genotype, other_genotype, trained):
        backbone = UniNASBackbone(other_genotype)
        before = weights_of(backbone)
        with pytest.raises(EngineError, match="checkpoint of another genotype"):
            load_backbone(backbone, trained[1])
        assert all(torch.equal(before[name], tensor) for name, tensor in backbone.state_dict().items())
        wider = uninas.blocks.network("coatnet", widths=(8, 16, 32, 64), depths=(1, 1, 1, 1))
        with pytest.raises(EngineError, match="differ in shape"):
            load_backbone(UniNASBackbone(wider), trained[1])
        report = load_backbone(UniNASBackbone(wider), trained[1], strict=False)
        assert report.mismatched and "left as initialised" in str(report)

    def test_files_that_are_no_checkpoints(self, tmp_path):
        with pytest.raises(EngineError, match="there is no such checkpoint"):
            read_checkpoint(tmp_path / "none.pth")
        (tmp_path / "text.pth").write_text("hello")
        with pytest.raises(EngineError, match=r"text\.pth: is no file of torch\.save"):
            read_checkpoint(tmp_path / "text.pth")
        torch.save([1, 2], tmp_path / "list.pth")
        with pytest.raises(EngineError, match="holds a list"):
            read_checkpoint(tmp_path / "list.pth")
        torch.save({"epoch": 3}, tmp_path / "empty.pth")
        with pytest.raises(EngineError, match="holds no weights; its keys are epoch"):
            read_checkpoint(tmp_path / "empty.pth")

    def test_safetensors(self, genotype, tmp_path):
        from safetensors.torch import save_file

        source = UniNASBackbone(genotype, seed=9)
        state = {name: tensor.contiguous() for name, tensor in source.state_dict().items()}
        save_file(state, str(tmp_path / "w.safetensors"))
        backbone = UniNASBackbone(genotype)
        assert backbone.load(tmp_path / "w.safetensors").prefix == ""
        assert torch.equal(backbone.stem[0].weight, source.stem[0].weight)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"out_indices": (0, 4)}, r"out_indices: stages are counted from 0 to 3, got \[0, 4\]"),
        ({"frozen_stages": 5}, r"frozen_stages: wants -1 \(nothing\) to 4, got 5"),
        ({"drop_path_rate": 1.5}, "drop_path_rate"),
        ({"genotype": {"schema_version": 1}}, "stages: is missing"),
        ({"genotype": "{not json"}, "not JSON"),
        ({"genotype": "nowhere.yaml"}, r"nowhere\.yaml: cannot read"),
    ],
)
def test_settings_that_do_not_fit(settings, told, genotype):
    with pytest.raises(EngineError, match=told):
        UniNASBackbone(**{"genotype": genotype, **settings})


def test_an_init_cfg_that_is_something_else(genotype):
    with pytest.raises(EngineError, match="wants dict"):
        UniNASBackbone(genotype, init_cfg={"type": "Kaiming"}).init_weights()
    with pytest.raises(EngineError, match="unknown key 'prefx'"):
        UniNASBackbone(genotype, init_cfg={"type": "Pretrained", "checkpoint": "x", "prefx": ""}).init_weights()
