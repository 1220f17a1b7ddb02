"""Protocol files: what is published, how they inherit, and what a wrong one is told."""

import pytest

from uninas import resources
from uninas.engine import protocol
from uninas.engine.errors import ProtocolError
from uninas.errors import UninasError


@pytest.mark.parametrize("name", sorted(resources.available("protocols")))
def test_every_protocol_that_travels_with_us_is_valid(name):
    assert protocol.load(name).name == name


@pytest.mark.parametrize("name", ["tiny_digits", "tiny_imagenet", "tiny_coco", "tiny_ade"])
def test_tiny_protocols_load_in_the_training_process(name):
    assert protocol.load(name).data.workers == 0


def test_a_protocol_changes_its_base_and_keeps_the_rest():
    base, longer = protocol.load("imagenet"), protocol.load("imagenet_300")
    assert longer.schedule.epochs == 300 and longer.augmentation.cutmix == 1.0 and longer.schedule.kind == "cosine"
    assert longer.data.num_classes == base.data.num_classes and longer.augmentation.flip == base.augmentation.flip


def test_the_long_protocol_is_recipe_a2():
    """ResNet strikes back, table 2: 2,048 images a step, LAMB at 5e-3, 0.02 of decay, BCE, 3 repeats."""
    plan = protocol.load("imagenet_300")
    assert 8 * plan.batch_size == 2048 and plan.learning_rates(8)["lr"] == pytest.approx(5e-3)
    assert (plan.optimizer.kind, plan.optimizer.weight_decay, plan.loss) == ("Lamb", 0.02, "bce")
    mixing = plan.augmentation
    assert (mixing.repeats, mixing.mixup, mixing.cutmix, mixing.label_smoothing) == (3, 0.1, 1.0, 0.0)
    assert (plan.model.drop_path, plan.schedule.warmup_epochs, plan.data.crop_pct) == (0.05, 5, 0.95)


def test_learning_rates_scale_with_processes_and_accumulated_batches():
    rates = protocol.load("imagenet", {"optimizer": {"accumulate": 2}}).learning_rates(3)
    assert rates == {"lr": 6e-4, "warmup_lr": 6e-7, "min_lr": 6e-6}


def test_a_file_of_ones_own_may_build_on_ours(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("base: imagenet\nschedule: {epochs: 10}\n")
    nested = tmp_path / "nested.yaml"
    nested.write_text("base: mine.yaml\nbatch_size: 8\n")
    loaded = protocol.load(nested)
    assert (loaded.name, loaded.schedule.epochs, loaded.batch_size) == ("nested", 10, 8)


def test_changes_from_the_command_line():
    changes = protocol.parse_changes(
        ["schedule.epochs=7", "data.input_size=[64, 96]", "augmentation.auto_augment=null"]
    )
    loaded = protocol.load("imagenet", changes)
    assert loaded.schedule.epochs == 7 and loaded.data.input_size == (64, 96)
    assert loaded.augmentation.auto_augment is None
    with pytest.raises(ProtocolError, match="write key=value"):
        protocol.parse_changes(["epochs"])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("schedule.epoch=3", r"schedule\.epoch: unknown key; did you mean 'epochs'"),
        ("schedul.epochs=3", r"schedul: unknown key; did you mean 'schedule'"),
        ("task=detectio", "there is no task 'detectio'; did you mean 'detection'"),
        ("schedule.epochs=4", r"warmup_epochs \(5\) must be below epochs \(4\)"),
        ("schedule.milestones=[3]", "milestones belong to kind multistep"),
        ("optimizer.lr=-1", r"optimizer\.lr: .*greater than 0, got -1"),
        ("optimizer.lr=fast", r"optimizer\.lr: .*number.*got 'fast'"),
        ("data.input_size=[3, 224]", r"data\.input_size\[0\]: .*8, got 3"),
        ("augmentation.flip=1.5", r"augmentation\.flip"),
        ("model.framework=upernet", r"model\.framework: unknown key"),
        ("keep_checkpoints=1", "keep_checkpoints"),
        ("norm=frozen", r"norm: .*'train', 'eval' or 'sync', got 'frozen'"),
        ("amp=true", r"amp: .*'bf16' or 'fp16'"),
        ("schedule.gamma=0.5", "gamma belongs to kind multistep"),
        ("loggers=[mlflow]", r"loggers\[0\]: .*'tensorboard' or 'wandb'"),
        ("batch_size=0", "batch_size"),
    ],
)
def test_what_is_wrong_is_named_with_file_and_place(change, told):
    with pytest.raises(ProtocolError, match=told) as caught:
        protocol.load("imagenet", protocol.parse_changes([change]))
    assert "imagenet.yaml, as changed: " in str(caught.value)


def test_classes_are_as_many_as_they_say():
    with pytest.raises(ProtocolError, match=r"data: num_classes is 3, and classes has 2 names"):
        protocol.load("coco_mask_rcnn", {"data": {"num_classes": 3, "classes": ["a", "b"]}})


def test_mixing_pairs_needs_an_even_batch():
    with pytest.raises(ProtocolError, match="must be even for mixup"):
        protocol.load("imagenet_300", {"batch_size": 7})


@pytest.mark.parametrize("milestones", ["[3]", "[11, 8]", "[8, 12]", "[8, 8]"])
def test_milestones_lie_in_order_between_warmup_and_end(milestones):
    with pytest.raises(ProtocolError, match="must rise"):
        protocol.load("coco_mask_rcnn", protocol.parse_changes([f"schedule.milestones={milestones}"]))


def test_unknown_names_and_broken_files(tmp_path):
    with pytest.raises(UninasError, match="did you mean 'imagenet'"):
        protocol.load("imagnet")
    broken = tmp_path / "broken.yaml"
    broken.write_text("task: [")
    with pytest.raises(ProtocolError, match=r"broken\.yaml: not valid YAML"):
        protocol.load(broken)
    broken.write_text("- task")
    with pytest.raises(ProtocolError, match="a protocol is a mapping"):
        protocol.load(broken)


def test_bases_that_go_in_a_circle(tmp_path):
    (tmp_path / "a.yaml").write_text("base: b.yaml\n")
    (tmp_path / "b.yaml").write_text("base: a.yaml\n")
    with pytest.raises(ProtocolError, match="a -> b -> a goes in a circle"):
        protocol.load(tmp_path / "a.yaml")
