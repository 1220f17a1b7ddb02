"""A genotype trained from the first batch to the saved folder by timm's own pieces, in the order of its train.py."""

import pytest
import timm
import torch

pytest.importorskip("sklearn")

from timm.data import create_dataset, create_loader, resolve_data_config
from timm.optim import create_optimizer_v2
from timm.utils import AverageMeter, CheckpointSaver, ModelEmaV3, accuracy
from timm_loop import train

import uninas
from uninas.timm import save_for_timm
from uninas.toydata import make

EPOCHS = 12


@pytest.mark.slow
def test_digits(tmp_path):
    make("digits", tmp_path / "d")
    uninas.blocks.network("resnet", widths=(16, 24, 32, 48), depths=(1, 1, 1, 1)).save(tmp_path / "best.yaml")
    model = timm.create_model(
        "uninas", genotype=str(tmp_path / "best.yaml"), num_classes=10, in_chans=1, drop_path_rate=0.05, drop_rate=0.1
    )
    torch.manual_seed(0)
    config = resolve_data_config(
        {"input_size": (1, 32, 32), "mean": (0.5,), "std": (0.5,), "crop_pct": 1.0}, model=model
    )
    loaders = {}
    for split in ("train", "val"):
        data = create_dataset("", str(tmp_path / "d"), split=split, input_img_mode="L")
        loaders[split] = create_loader(
            data,
            input_size=config["input_size"],
            mean=config["mean"],
            std=config["std"],
            crop_pct=config["crop_pct"],
            batch_size=64,
            is_training=split == "train",
            hflip=0.0,
            color_jitter=None,
            scale=(0.7, 1.0),
            num_workers=0,
            use_prefetcher=False,
            persistent_workers=False,
        )
    optimizer = create_optimizer_v2(model, opt="adamw", lr=6e-3, weight_decay=0.05, layer_decay=0.8)
    average = ModelEmaV3(model, decay=0.95, use_warmup=True)
    saver = CheckpointSaver(
        model, optimizer, model_ema=average, checkpoint_dir=str(tmp_path), recovery_dir=str(tmp_path)
    )
    train(model, loaders["train"], optimizer, average, EPOCHS, clip=5.0)
    saver.save_checkpoint(EPOCHS, metric=1.0)
    folder = save_for_timm(average.module, tmp_path / "saved", {"mean": (0.5,), "std": (0.5,)})
    read = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    # timm's validate.py reads a checkpoint of its train.py so, average first
    other = timm.create_model("uninas", genotype=str(tmp_path / "best.yaml"), num_classes=10, in_chans=1)
    timm.models.load_checkpoint(other, str(tmp_path / "last.pth.tar"), use_ema=True)
    hits = AverageMeter()
    with torch.inference_mode():
        for images, labels in loaders["val"]:
            logits = read(images)
            torch.testing.assert_close(other.eval()(images), logits)
            hits.update(accuracy(logits, labels)[0].item(), len(labels))
    print(f"top-1 {hits.avg:.1f} %")
    assert hits.avg > 90
