"""What timm asserts of its own models, asserted of ours; and what only ours have. (`uninas.timm`; a folder of that name
here would hide timm itself.)"""

import copy
import json
import random

import pytest
import timm
import torch
from graphs import small_published
from timm.models import FeatureInfo, PretrainedCfg, group_parameters, load_checkpoint
from timm.models._features import FeatureGetterNet
from timm.models._features_fx import create_feature_extractor
from timm.optim import create_optimizer_v2, param_groups_layer_decay
from timm.utils import ModelEmaV3
from torch import nn

import uninas
from uninas import Genotype, GenotypeError
from uninas.blocks import KNOWN, NETWORKS, PUBLISHED
from uninas.genotype import Head
from uninas.search import Space
from uninas.timm import TIMM_NAMES, TimmNetwork, save_for_timm
from uninas.timm.checkpoint import TimmError

SMALL = {"widths": (16, 16, 32, 32), "depths": (1, 2, 1, 1)}


def mutated() -> Genotype:
    """Ten moves away from a CoAtNet."""
    space, rng = Space.load("uninas"), random.Random(4)
    genotype = uninas.blocks.network("coatnet", **SMALL, input_size=64)
    for _ in range(10):
        genotype = space.mutate(genotype, rng)
    return genotype


def headed(head: Head) -> Genotype:
    plain = uninas.blocks.network("resnet", **SMALL)
    return Genotype(plain.stages, plain.stem, head)


GENOTYPES = {
    "coatnet": uninas.blocks.network("coatnet", **SMALL, input_size=64),
    "resnet": uninas.blocks.network("resnet", **SMALL, blocks=("bottleneck",) * 4),
    "convnext": uninas.blocks.network("convnext", **SMALL),
    "mobilenet": uninas.blocks.network("resnet", **SMALL, blocks=("inverted_residual",) * 4),
    "mutated": mutated(),
    "head with all parts": headed(Head("batch", "relu", 0.3)),
    "head of nothing": headed(Head(None)),
}
SCRIPTABLE = sorted(set(GENOTYPES) - {"coatnet", "mutated"})
every_genotype = pytest.mark.parametrize("name", GENOTYPES)


def create(name: str, **settings) -> TimmNetwork:
    return timm.create_model("uninas", genotype=GENOTYPES[name], **settings)  # type: ignore[return-value]


def image(height: int = 64, width: int = 96, channels: int = 3) -> torch.Tensor:
    return torch.randn(2, channels, height, width, generator=torch.Generator().manual_seed(1))


@every_genotype
def test_it_is_the_network_that_build_gives(name):
    ours = uninas.build(GENOTYPES[name], 7).eval()
    theirs = create(name, num_classes=7).eval()
    assert list(theirs.state_dict()) == list(ours.state_dict())
    assert torch.equal(theirs(image()), ours(image()))
    theirs.load_state_dict(uninas.build(GENOTYPES[name], 7, seed=5).state_dict())
    assert not torch.equal(theirs(image()), ours(image()))


def test_initial_weights_for_training():
    model = create("coatnet", num_classes=7, seed=2, init="train").eval()
    assert torch.equal(model(image()), uninas.build(GENOTYPES["coatnet"], 7, seed=2, init="train").eval()(image()))
    model.reset_classifier(5)
    assert torch.equal(model(image()), uninas.build(GENOTYPES["coatnet"], 5, seed=2, init="train").eval()(image()))


@every_genotype
def test_backward(name):
    model = create(name, num_classes=42).train()
    out = model(image())
    assert out.shape == (2, 42)
    out.square().mean().backward()
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), key


@every_genotype
def test_default_cfg(name):
    """timm's test of the same name: pool size, classifier and first convolution are what the cfg says."""
    model = create(name).eval()
    cfg, state = model.default_cfg, model.state_dict()
    assert cfg == model.pretrained_cfg and cfg["architecture"] == "uninas"
    assert cfg["input_size"] == (3, 224, 224) and cfg["num_classes"] == model.num_classes == 1000
    with torch.no_grad():
        x = torch.randn(1, *cfg["input_size"])
        assert model.forward_features(x).shape[2:] == cfg["pool_size"]
        pre_logits = model.forward_head(model.forward_features(x), pre_logits=True)
        assert pre_logits.shape == (1, model.head_hidden_size)
        model.reset_classifier(0)
        assert torch.equal(model(x), pre_logits)
        model.reset_classifier(0, "")
        assert model(x).shape == (1, model.num_features, *cfg["pool_size"])
    assert state[cfg["classifier"] + ".weight"].shape == (1000, model.head_hidden_size)
    assert state[cfg["first_conv"] + ".weight"].shape[1] == 3


@pytest.mark.parametrize("size", [(64, 64), (65, 97), (96, 32)])
@every_genotype
def test_features_are_as_declared(name, size):
    model = create(name, features_only=True).eval()
    features = model(image(*size))
    assert len(features) == len(model.feature_info.channels()) == len(GENOTYPES[name].stages)
    for channels, reduction, feature in zip(model.feature_info.channels(), model.feature_info.reduction(), features):
        assert feature.shape[:2] == (2, channels) and torch.isfinite(feature).all()
        assert all(abs(side * reduction - whole) < reduction for side, whole in zip(feature.shape[2:], size))


@pytest.mark.parametrize("kind", ["getter", "list", "dict", "hook", "fx"])
@every_genotype
def test_ways_to_take_features(name, kind):
    """All of timm's extractors give the same."""
    plain = uninas.build(GENOTYPES[name], features_only=True, out_indices=(1, 3)).eval()(image())
    model = create(name, features_only=True, out_indices=(1, 3), feature_cls=kind).eval()
    features = model(image())
    features = list(features.values()) if isinstance(features, dict) else features
    assert model.feature_info.channels() == [16, 32]
    for feature, expected in zip(features, plain, strict=True):
        torch.testing.assert_close(feature, expected)


@every_genotype
def test_unread_stages_are_dropped(name):
    model = create(name, features_only=True, out_indices=(0, -3))
    assert model.feature_info.module_name() == ["stages.0", "stages.1"]
    assert {key.split(".")[1] for key in model.state_dict()} == {"stem", "stages"}
    assert not any(key.startswith(("model.stages.2", "model.stages.3")) for key in model.state_dict())
    sum(feature.mean() for feature in model(image())).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


@every_genotype
def test_forward_intermediates(name):
    model = create(name, num_classes=7).eval()
    info = FeatureInfo(copy.deepcopy(model.feature_info), len(model.feature_info))
    last, found = model.forward_intermediates(image())
    assert [feature.shape[1] for feature in found] == info.channels()
    assert torch.equal(last, model.forward_features(image())) and torch.equal(last, found[-1])
    assert torch.equal(model.forward_head(last), model(image()))
    two = model.forward_intermediates(image(), indices=[1, 2], intermediates_only=True)
    assert len(two) == 2 and torch.equal(two[1], found[2])
    assert torch.equal(model.forward_intermediates(image(), indices=1, intermediates_only=True)[0], last)
    early, found_early = model.forward_intermediates(image(), indices=[1], stop_early=True)
    assert torch.equal(early, found[1]) and torch.equal(found_early[0], found[1])
    with pytest.raises(GenotypeError, match=r"output_fmt: .* NCHW, not NLC"):
        model.forward_intermediates(image(), output_fmt="NLC")


def test_the_norm_of_intermediates_is_the_heads():
    for name, normed in {"coatnet": True, "convnext": False, "head of nothing": False}.items():
        model = create(name).eval()
        *plain, last = model.forward_intermediates(image(), intermediates_only=True)
        *same, norm = model.forward_intermediates(image(), norm=True, intermediates_only=True)
        assert all(torch.equal(a, b) for a, b in zip(plain, same))
        assert torch.equal(norm, model.head[0](last) if normed else last)
        kept = FeatureGetterNet(create(name), out_indices=(0, 3), norm=True).eval()
        assert torch.equal(kept(image())[1], norm)
        assert any("head" in key for key in kept.state_dict()) == normed


@pytest.mark.parametrize("pool", ["avg", "max", "avgmax"])
@every_genotype
def test_reset_classifier(name, pool):
    model = create(name, num_classes=7, global_pool=pool, seed=3)
    for module in model.modules():  # as if trained
        if isinstance(module, (nn.BatchNorm2d, nn.LayerNorm)):
            nn.init.normal_(module.weight, generator=torch.Generator().manual_seed(2))
    model.eval()
    pre_logits = model.forward_head(model.forward_features(image()), pre_logits=True)
    assert isinstance(model.get_classifier(), nn.Linear)
    torch.testing.assert_close(model.get_classifier()(pre_logits[..., None, None]), model(image()))
    model.reset_classifier(5)
    assert model.num_classes == 5 and not model.head.training
    assert torch.equal(model.get_classifier().weight, create(name, num_classes=5, seed=3).get_classifier().weight)
    assert torch.equal(model.forward_head(model.forward_features(image()), pre_logits=True), pre_logits)
    model.reset_classifier(0)
    assert isinstance(model.get_classifier(), nn.Identity) and torch.equal(model(image()), pre_logits)
    model.reset_classifier(3, "max")
    assert model.global_pool == "max" and model(image()).shape == (2, 3)


def test_pools():
    model = create("head of nothing", num_classes=0, global_pool="max").eval()
    features = model.forward_features(image())
    assert torch.equal(model(image()), features.amax((2, 3)))
    model.reset_classifier(0, "avgmax")
    torch.testing.assert_close(model(image()), (features.amax((2, 3)) + features.mean((2, 3))) / 2)
    for message, settings in {
        "global_pool: there is no 'catavgmax'; did you mean 'avgmax'": {"global_pool": "catavgmax"},
        "global_pool: a classifier needs a pool": {"global_pool": ""},
    }.items():
        with pytest.raises(GenotypeError, match=message):
            create("resnet", **settings)


@every_genotype
def test_dropout_is_before_the_classifier(name):
    genotype = GENOTYPES[name]
    assert create(name).drop_rate == genotype.head.dropout
    model = create(name, num_classes=4, drop_rate=0.5, drop_path_rate=0.0).train()
    torch.manual_seed(0)
    x = model.forward_head(torch.ones(512, model.num_features, 1, 1), pre_logits=True)
    assert list(model.state_dict()) == list(create(name, num_classes=4).state_dict())
    seen = []
    model.get_classifier().register_forward_hook(lambda module, given, out: seen.append(given[0]))
    model.forward_head(torch.ones(512, model.num_features, 1, 1))
    live = x.flatten(1).abs() > 1e-6
    if live.any():
        assert 0.4 < (seen[0].flatten(1)[live] == 0).float().mean() < 0.6
    assert create(name, drop_rate=0.0).head.drop_rate == 0.0


def test_drop_path():
    model = create("coatnet", drop_path_rate=0.1)
    rates = [m.drop_prob for m in model.modules() if type(m).__name__ == "DropPath"]
    assert max(rates) == pytest.approx(0.1)


@every_genotype
def test_layer_decay_reaches_every_parameter(name):
    model = create(name, num_classes=3)
    depth = sum(SMALL["depths"])
    for coarse, expected in ((False, depth + 2), (True, len(SMALL["depths"]) + 2)):
        groups = group_parameters(model, model.group_matcher(coarse), reverse=True)
        assert set(groups) == {key for key, _ in model.named_parameters()}
        assert set(groups.values()) == set(range(expected))
        assert {groups[key] for key in groups if key.startswith("stem")} == {0}
        assert {groups[key] for key in groups if key.startswith("head")} == {expected - 1}
    groups = param_groups_layer_decay(model, layer_decay=0.5, no_weight_decay_list=model.no_weight_decay())
    assert sum(len(group["params"]) for group in groups) == len(list(model.parameters()))
    assert {group["lr_scale"] for group in groups} == {0.5**i for i in range(depth + 2)}
    still = {id(p) for group in groups if not group["weight_decay"] for p in group["params"]}
    tables = {key for key, _ in model.named_parameters() if key.endswith("table")}
    assert tables == model.no_weight_decay() and bool(tables) == (name == "coatnet" or name == "mutated")
    assert {id(p) for key, p in model.named_parameters() if key in tables or p.ndim == 1} == still


@every_genotype
def test_checkpointing_changes_no_gradient(name):
    gradients = []
    for enable in (False, True):
        model = create(name, num_classes=5, drop_rate=0.0).train()
        model.set_grad_checkpointing(enable)
        model(image()).square().sum().backward()
        gradients.append({key: p.grad for key, p in model.named_parameters()})
        statistics = {key: buffer for key, buffer in model.named_buffers() if "running" in key}
        gradients[-1].update(statistics)
    for key, value in gradients[0].items():
        torch.testing.assert_close(value, gradients[1][key], msg=key)
    last, found = model.forward_intermediates(image())
    assert last.requires_grad and torch.equal(last, found[-1])


@pytest.mark.parametrize("name", SCRIPTABLE)
def test_torchscript(name):
    """Networks of convolutions. Chunks and attention have no TorchScript form: trace them, or torch.export."""
    model = create(name, num_classes=5).eval()
    scripted = torch.jit.script(model)
    for size in ((64, 64), (33, 47)):
        torch.testing.assert_close(scripted(image(*size)), model(image(*size)))


@every_genotype
def test_tracing(name):
    model = create(name, num_classes=5).eval()
    traced = torch.jit.trace(model, image())
    torch.testing.assert_close(traced(image() + 1), model(image() + 1))
    extractor = create_feature_extractor(model, {"stages.2": "middle", "head": "logits"})
    assert isinstance(extractor, torch.fx.GraphModule)
    found = extractor(image(40, 72))
    torch.testing.assert_close(found["logits"], model(image(40, 72)))
    torch.testing.assert_close(found["middle"], model.forward_intermediates(image(40, 72))[1][2])


@every_genotype
def test_copies(name):
    model = create(name, num_classes=5)
    optimizer = create_optimizer_v2(model, opt="adamw", lr=0.1)
    average = ModelEmaV3(model, decay=0.5)
    before = copy.deepcopy(model).eval()
    model.train()(image()).square().mean().backward()
    optimizer.step()
    average.update(model)
    expected = {key: (a + b) / 2 for (key, a), b in zip(before.named_parameters(), model.parameters())}
    for key, value in average.module.named_parameters():
        torch.testing.assert_close(value, expected[key])
    assert torch.equal(before(image()), create(name, num_classes=5).eval()(image()))
    assert before.genotype == model.genotype


@every_genotype
def test_other_images(name):
    """Checkpoints of colour networks load into those of other channels by timm's rule."""
    state = create(name, num_classes=5, seed=2).state_dict()
    source = {"state_dict": state, "num_classes": 5}
    grey = create(name, num_classes=5, in_chans=1, pretrained=True, pretrained_cfg_overlay=source).eval()
    assert grey.in_chans == 1 and grey.stem[0].weight.shape[1] == 1
    torch.testing.assert_close(grey.stem[0].weight, state["stem.0.weight"].sum(1, keepdim=True))
    colour = create(name, num_classes=5, pretrained=True, pretrained_cfg_overlay=source).eval()
    torch.testing.assert_close(
        grey(image(channels=1)), colour(image(channels=1).expand(-1, 3, -1, -1)), rtol=1e-3, atol=1e-4
    )
    deep = create(name, in_chans=8)
    assert deep(image(channels=8)).shape == (2, 1000)


@every_genotype
def test_a_saved_folder_is_read_by_timm(name, tmp_path):
    model = create(name, num_classes=5, in_chans=4, seed=3).eval()
    folder = save_for_timm(model, tmp_path / "saved", {"mean": (0.5, 0.5, 0.5, 0.5), "std": (0.2,) * 4})
    config = json.loads((folder / "config.json").read_text())
    assert Genotype.from_dict(config["model_args"]["genotype"]) == GENOTYPES[name]
    assert sorted(file.name for file in folder.iterdir()) == ["config.json", "model.safetensors"]
    read = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    assert read.genotype == GENOTYPES[name] and read.num_classes == 5 and read.in_chans == 4
    assert torch.equal(read(image(channels=4)), model(image(channels=4)))
    assert timm.data.resolve_model_data_config(read)["mean"] == [0.5] * 4
    fine = timm.create_model(f"local-dir:{folder}", pretrained=True, num_classes=9).eval()
    assert fine(image(channels=4)).shape == (2, 9)
    assert torch.equal(fine.forward_features(image(channels=4)), model.forward_features(image(channels=4)))
    features = timm.create_model(f"local-dir:{folder}", pretrained=True, features_only=True, out_indices=(-1,)).eval()
    assert torch.equal(features(image(channels=4))[0], model.forward_features(image(channels=4)))
    rgb = timm.create_model(f"local-dir:{folder}", pretrained=True, in_chans=3)
    assert rgb.stem[0].weight.shape[1] == 3
    with pytest.raises(TimmError, match=r"has config\.json already: choose another folder, or force=True"):
        save_for_timm(model, folder)
    model.get_classifier().weight.data.zero_()
    save_for_timm(model, folder, force=True)
    assert not timm.create_model(f"local-dir:{folder}", pretrained=True).get_classifier().weight.any()


def test_what_can_be_saved(tmp_path):
    built = uninas.build(GENOTYPES["resnet"], 6, seed=9, in_chans=1).eval()
    (tmp_path / "file").touch()
    with pytest.raises(TimmError, match=r"file: cannot make the folder: File exists; choose another folder"):
        save_for_timm(built, tmp_path / "file")
    read = timm.create_model(f"local-dir:{save_for_timm(built, tmp_path / 'built')}", pretrained=True).eval()
    assert torch.equal(read(image(channels=1)), built(image(channels=1)))
    known = timm.create_model("uninas_coatnet", **SMALL, global_pool="max", num_classes=3).eval()
    read = timm.create_model(f"local-dir:{save_for_timm(known, tmp_path / 'known')}", pretrained=True).eval()
    assert read.global_pool == "max" and torch.equal(read(image()), known(image()))
    for model in (
        nn.Linear(2, 2),
        uninas.build(GENOTYPES["resnet"], features_only=True),
        create("resnet", features_only=True, out_indices=(0,)).model,
    ):
        with pytest.raises(TimmError, match="cannot be saved: give a whole network"):
            save_for_timm(model, tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_checkpoints_of_our_training_load(tmp_path):
    """Their names start with `backbone.`, except for the head's."""
    built = uninas.build(GENOTYPES["coatnet"], 6, seed=9).eval()
    state = {key if key.startswith("head") else f"backbone.{key}": value for key, value in built.state_dict().items()}
    torch.save({"state_dict": state, "meta": {}}, tmp_path / "epoch_9.pth")
    source = {"file": str(tmp_path / "epoch_9.pth"), "num_classes": 6}
    model = create("coatnet", pretrained=True, pretrained_cfg_overlay=source).eval()
    assert torch.equal(model(image()), built(image()))
    plain = tmp_path / "plain.pth"
    torch.save(built.state_dict(), plain)
    load_checkpoint(model := create("coatnet", num_classes=6).eval(), str(plain))
    assert torch.equal(model(image()), built(image()))


class Log:
    """Of a type that PyTorch and timm refuse to load."""


@pytest.mark.parametrize("form", ["overlay", "whole", "timm's own"])
def test_what_a_trainer_stores_beside_weights_is_passed_over(tmp_path, form):
    """Such as mmengine's log."""
    built = uninas.build(GENOTYPES["resnet"], 6, seed=9).eval()
    torch.save({"state_dict": built.state_dict(), "log": Log()}, tmp_path / "epoch_9.pth")
    source = {"file": str(tmp_path / "epoch_9.pth"), "num_classes": 6}
    given = {
        "overlay": {"pretrained_cfg_overlay": source},
        "whole": {"pretrained_cfg": {**source, "first_conv": "stem.0", "classifier": "head.3"}},
        "timm's own": {"pretrained_cfg": PretrainedCfg(**source, first_conv="stem.0", classifier="head.3")},
    }[form]
    model = create("resnet", pretrained=True, **given).eval()
    assert torch.equal(model(image()), built(image()))


def test_ways_to_say_the_genotype(tmp_path):
    genotype = GENOTYPES["mutated"]
    genotype.save(tmp_path / "best.yaml")
    for form in (genotype, genotype.to_dict(), tmp_path / "best.yaml", str(tmp_path / "best.yaml")):
        assert timm.create_model("uninas", genotype=form, num_classes=2).genotype == genotype
    assert timm.create_model("uninas", genotype="convnext").genotype == uninas.blocks.network("convnext")
    with pytest.raises(GenotypeError, match="genotype: is missing: create_model"):
        timm.create_model("uninas")
    with pytest.raises(GenotypeError, match=r"nothing\.yaml"):
        timm.create_model("uninas", genotype="nothing.yaml")
    with pytest.raises(RuntimeError, match="No pretrained weights exist for uninas"):
        create("resnet", pretrained=True)


def test_known_networks():
    assert set(timm.list_models("uninas*")) == {"uninas", *TIMM_NAMES}
    assert set(TIMM_NAMES.values()) == set(KNOWN)
    assert timm.list_pretrained("uninas*") == []
    for name in NETWORKS:
        timm_name = f"uninas_{name}"
        model = timm.create_model(timm_name, **SMALL, num_classes=3)
        assert model.genotype == uninas.blocks.network(name, **SMALL)
        assert model.pretrained_cfg["architecture"] == timm_name
    sized = timm.create_model("uninas_vit", **SMALL, img_size=64)
    assert sized.genotype == uninas.blocks.network("vit", **SMALL, input_size=64)
    other = timm.create_model("uninas_vit", **SMALL, blocks=("gated_conv",) * 4)
    assert other.genotype == uninas.blocks.network("vit", **SMALL, blocks=("gated_conv",) * 4)
    with pytest.raises(GenotypeError, match="widths: wants a value for each of 4 stages"):
        timm.create_model("uninas_vit", widths=(1, 2))


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_networks(name, tmp_path):
    """All of the above in short, for networks whose stages start with units and whose heads are wide."""
    small = small_published(name)
    model = timm.create_model(f"uninas_{name}", **small, num_classes=7, img_size=64).eval()
    info = FeatureInfo(copy.deepcopy(model.feature_info), len(model.feature_info))
    last, found = model.forward_intermediates(image())
    assert [feature.shape[1] for feature in found] == info.channels() == list(small["widths"])
    assert [64 // feature.shape[2] for feature in found] == info.reduction()
    assert last.shape[1] == model.num_features
    pre_logits = model.forward_head(last, pre_logits=True)
    assert pre_logits.shape == (2, model.head_hidden_size)
    with torch.no_grad():
        classifier = model.pretrained_cfg["classifier"]
        assert model.get_submodule(classifier) is model.get_classifier()
        torch.testing.assert_close(model.get_classifier()(pre_logits[..., None, None]), model(image()))
    groups = group_parameters(model, model.group_matcher(), reverse=True)
    assert set(groups.values()) == set(range(sum(len(stage) for stage in model.stages) + 2))
    picked = timm.create_model(f"uninas_{name}", **small, img_size=64, features_only=True, out_indices=(1, -1)).eval()
    for kind in ("list", "hook", "fx"):
        settings = {"features_only": True, "out_indices": (1, -1), "feature_cls": kind}
        other = timm.create_model(f"uninas_{name}", **small, img_size=64, **settings).eval()
        for a, b in zip(picked(image()), other(image()), strict=True):
            torch.testing.assert_close(a, b)
    read = timm.create_model(f"local-dir:{save_for_timm(model, tmp_path / 'saved')}", pretrained=True).eval()
    assert torch.equal(read(image()), model(image()))
    if name != "coatnet_0":
        torch.testing.assert_close(torch.jit.script(model)(image(33, 47)), model(image(33, 47)))
    model.reset_classifier(0)
    assert torch.equal(model(image()), pre_logits)


def test_global_random_state_is_left_alone():
    state = torch.get_rng_state()
    create("coatnet").reset_classifier(4)
    assert torch.equal(torch.get_rng_state(), state)


def test_half_precision():
    model = create("coatnet", num_classes=4, dtype=torch.bfloat16).eval()
    assert model(image().bfloat16()).dtype is torch.bfloat16
    model.reset_classifier(2)
    assert model.get_classifier().weight.dtype is torch.bfloat16
