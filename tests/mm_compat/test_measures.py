"""Each measure of `uninas.mm_compat`: that it does what it says, and nothing where it is not needed."""

import os
import re
import subprocess
import sys
import warnings
import zipfile

import numpy as np
import pytest
import torch

pytest.importorskip("mmengine")

from uninas.mm_compat import CompatError, operators, prepare
from uninas.mm_compat.distributed import init_distributed, replace_sync_bn
from uninas.mm_compat.measures import allow_checkpoint_types, is_worth_logging


def python(code: str, **env: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1", **env}
    )


def boxes_and_scores(n: int = 60) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(0)
    corner, size = rng.uniform(0, 40, (n, 2)), rng.uniform(4, 30, (n, 2))
    boxes = torch.tensor(np.concatenate([corner, corner + size], axis=1), dtype=torch.float32)
    return boxes, torch.tensor(rng.permutation(n) / n, dtype=torch.float32)


def slow_nms(boxes: torch.Tensor, scores: torch.Tensor, threshold: float, offset: int) -> list[int]:
    kept: list[int] = []
    for i in scores.argsort(descending=True).tolist():
        overlaps = []
        for j in kept:
            low, high = torch.maximum(boxes[i, :2], boxes[j, :2]), torch.minimum(boxes[i, 2:], boxes[j, 2:])
            shared = (high - low + offset).clamp(min=0).prod()
            areas = [(boxes[k, 2:] - boxes[k, :2] + offset).prod() for k in (i, j)]
            overlaps.append(shared / (areas[0] + areas[1] - shared))
        if all(o <= threshold for o in overlaps):
            kept.append(i)
    return kept


@pytest.mark.parametrize("offset", [0, 1])
def test_nms_through_mmcv_keeps_what_the_definition_keeps(offset):
    prepare()
    from mmcv.ops import nms

    boxes, scores = boxes_and_scores()
    detections, kept = nms(boxes, scores, 0.4, offset=offset)
    assert kept.tolist() == slow_nms(boxes, scores, 0.4, offset)
    assert torch.equal(detections[:, :4], boxes[kept])


def test_batched_nms_separates_classes_and_limits_the_number():
    prepare()
    from mmcv.ops import batched_nms

    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 9], [0, 0, 10, 10], [50, 50, 60, 60]])
    scores = torch.tensor([0.9, 0.8, 0.7, 0.6])
    options = {"type": "nms", "iou_threshold": 0.5, "max_num": 2}
    assert batched_nms(boxes, scores, torch.tensor([0, 0, 1, 0]), dict(options))[1].tolist() == [0, 2]
    assert batched_nms(boxes, scores, torch.tensor([0, 0, 0, 0]), dict(options))[1].tolist() == [0, 3]


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("sampling", [0, 2])
def test_roi_align_through_mmcv_equals_torchvision_forward_and_backward(aligned, sampling):
    prepare()
    from mmcv.ops import RoIAlign
    from torchvision.ops import roi_align

    torch.manual_seed(0)
    features = torch.randn(2, 3, 12, 17, requires_grad=True)
    rois = torch.tensor([[0.0, 3, 4, 40, 30], [1, 10, 0, 60, 44], [1, 0, 0, 5, 5]])
    ours = RoIAlign((7, 5), 0.25, sampling, aligned=aligned)(features, rois)
    weights = torch.randn_like(ours)
    (grad,) = torch.autograd.grad((ours * weights).sum(), features)
    theirs = roi_align(features, rois, (7, 5), 0.25, sampling, aligned)
    (expected,) = torch.autograd.grad((theirs * weights).sum(), features)
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(grad, expected)


def test_roi_align_takes_half_precision_and_no_boxes():
    prepare()
    if operators.compiled():
        pytest.skip("this mmcv has its own operators, which lack it on a CPU")
    from mmcv.ops import RoIAlign

    pool = RoIAlign(7, 0.25)
    features = torch.randn(1, 2, 8, 8, dtype=torch.bfloat16, requires_grad=True)
    pooled = pool(features, torch.tensor([[0, 0, 0, 20, 20]], dtype=torch.bfloat16))
    pooled.sum().backward()
    assert pooled.dtype == features.grad.dtype == torch.bfloat16
    assert pool(features, torch.zeros(0, 5)).shape == (0, 2, 7, 7)


def test_masks_are_cropped_as_mmdet_trains_on_them():
    prepare()
    from mmdet.structures.mask import BitmapMasks

    mask = np.zeros((1, 20, 30), np.uint8)
    mask[0, 5:15, 10:20] = 1
    crop = BitmapMasks(mask, 20, 30).crop_and_resize(np.array([[10.0, 5, 20, 15]]), (28, 28), np.array([0]))
    assert crop.masks.shape == (1, 28, 28) and crop.masks.mean() > 0.9


def test_focal_loss_of_mmcv_equals_the_plain_one_of_mmdet():
    prepare()
    if operators.compiled():
        pytest.skip("this mmcv has its own operators, which lack it on a CPU")
    from mmcv.ops import sigmoid_focal_loss
    from mmdet.models.losses.focal_loss import py_sigmoid_focal_loss

    torch.manual_seed(0)
    logits = torch.randn(9, 4, requires_grad=True)
    target = torch.tensor([0, 1, 2, 3, 4, 4, 4, 1, 0])
    ours = sigmoid_focal_loss(logits, target, 2.0, 0.25, None, "mean")
    plain = py_sigmoid_focal_loss(logits, torch.nn.functional.one_hot(target, 5)[:, :4], reduction="sum") / 9
    torch.testing.assert_close(ours, plain)
    torch.testing.assert_close(torch.autograd.grad(ours, logits)[0], torch.autograd.grad(plain, logits)[0])


def test_other_operators_raise_only_when_called():
    prepare()
    if operators.compiled():
        pytest.skip("this mmcv has its own operators")
    from mmcv.ops import soft_nms

    with pytest.raises(CompatError, match=r"'softnms' needs an mmcv with compiled operators"):
        soft_nms(*boxes_and_scores())
    with pytest.raises(CompatError, match="pool_mode"):
        from mmcv.ops import RoIAlign

        RoIAlign(7, pool_mode="max")(torch.zeros(1, 1, 8, 8), torch.zeros(1, 5))


def test_a_compiled_mmcv_is_left_alone():
    done = python(
        "import importlib.machinery, sys, types\n"
        "real = types.ModuleType('mmcv._ext'); real.__spec__ = importlib.machinery.ModuleSpec('mmcv._ext', None)\n"
        "sys.modules['mmcv._ext'] = real\n"
        "from uninas.mm_compat import operators\n"
        "assert operators.compiled() and not operators.install() and sys.modules['mmcv._ext'] is real"
    )
    assert done.returncode == 0, done.stderr


def test_mmengine_is_not_told_that_mmcv_is_complete():
    done = python(
        "from uninas.mm_compat import operators, prepare; prepare()\n"
        "from mmengine.utils.dl_utils import mmcv_full_available\n"
        "import mmdet.models, mmseg.models\n"
        "assert mmcv_full_available() == operators.compiled()"
    )
    assert done.returncode == 0, done.stderr


def test_checkpoints_of_mmengine_load_safely(tmp_path):
    from mmengine.logging.history_buffer import HistoryBuffer

    buffer = HistoryBuffer()
    buffer.update(1.5, 2)
    content = {"loss": buffer, "array": np.arange(3), "flag": np.bool_(True), "tensor": torch.ones(2)}
    torch.save(content, tmp_path / "epoch_1.pth")
    code = (
        "import torch\nfrom uninas.mm_compat import prepare; prepare()\n"
        f"loaded = torch.load({str(tmp_path / 'epoch_1.pth')!r})\n"
        "assert loaded['loss'].data[0].item() == 1.5 and loaded['array'].tolist() == [0, 1, 2]"
    )
    done = python(code)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("module", ["numpy.core", "numpy._core"])
def test_arrays_saved_under_either_numpy_generation_load(tmp_path, module):
    allow_checkpoint_types()
    torch.save([np.arange(3), np.float64(0.5)], tmp_path / "here.pth")
    with zipfile.ZipFile(tmp_path / "here.pth") as here, zipfile.ZipFile(tmp_path / "there.pth", "w") as there:
        for entry in here.infolist():
            content = here.read(entry)
            if entry.filename.endswith("data.pkl"):
                content = re.sub(rb"numpy\._?core\.", module.encode() + b".", content)
                assert f"c{module}.multiarray\n_reconstruct\n".encode() in content
            there.writestr(entry.filename, content)
    array, scalar = torch.load(tmp_path / "there.pth")
    assert array.tolist() == [0, 1, 2] and scalar == 0.5


def test_a_checkpoint_that_would_run_code_is_still_refused(tmp_path):
    allow_checkpoint_types()

    class Evil:
        def __reduce__(self):
            return os.system, ("true",)

    torch.save({"state_dict": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(Exception, match="GLOBAL"):
        torch.load(tmp_path / "evil.pth")


def test_getattr_reaches_nothing_but_the_statistics_of_a_history_buffer(tmp_path):
    allow_checkpoint_types()

    class Sneaky:
        def __reduce__(self):
            return getattr, (np.ndarray, "tofile")

    torch.save({"state_dict": Sneaky()}, tmp_path / "sneaky.pth")
    with pytest.raises(CompatError, match="tofile"):
        torch.load(tmp_path / "sneaky.pth")


def test_warnings_nobody_can_act_on_are_dropped_and_others_are_not(capsys):
    from mmengine.logging import MMLogger

    prepare()
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        prepare()
        warnings.warn("`reduce_zero_label` will be deprecated, if you would like", stacklevel=1)
        warnings.warn("something else", stacklevel=1)
    assert [str(w.message) for w in seen] == ["something else"]
    logger = MMLogger.get_instance("compat-test", logger_name="compat-test")
    logger.addFilter(is_worth_logging)
    logger.warning('"FileClient" will be deprecated in future.')
    logger.warning("something else")
    out = capsys.readouterr().out
    assert "something else" in out and "FileClient" not in out


def test_sync_bn_becomes_bn_everywhere_in_a_config():
    cfg = {"norm_cfg": {"type": "SyncBN"}, "heads": [{"norm_cfg": {"type": "SyncBN", "eps": 1e-3}}, {"type": "LN"}]}
    replace_sync_bn(cfg)
    assert cfg == {"norm_cfg": {"type": "BN"}, "heads": [{"norm_cfg": {"type": "BN", "eps": 1e-3}}, {"type": "LN"}]}


@pytest.mark.skipif(torch.cuda.is_available(), reason="about machines without a GPU")
class TestDistributedOnCpu:
    def test_nothing_happens_without_a_launcher(self):
        cfg: dict = {}
        init_distributed(cfg, "none")
        assert cfg == {}

    def test_a_missing_torchrun_is_named(self, monkeypatch):
        for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR"):
            monkeypatch.delenv(name, raising=False)
        with pytest.raises(CompatError, match="torchrun"):
            init_distributed({}, "pytorch")
        with pytest.raises(CompatError, match="slurm needs GPUs"):
            init_distributed({}, "slurm")

    def test_a_gloo_group_and_a_wrapper_without_devices(self, tmp_path):
        code = (
            "import torch\nfrom uninas.mm_compat.distributed import init_distributed\n"
            "cfg = {'norm_cfg': {'type': 'SyncBN'}}; init_distributed(cfg, 'pytorch')\n"
            "assert torch.distributed.get_backend() == 'gloo'\n"
            "assert cfg['model_wrapper_cfg']['device_ids'] is None and cfg['norm_cfg']['type'] == 'BN'\n"
            "torch.distributed.destroy_process_group()"
        )
        env = {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0", "MASTER_ADDR": "localhost", "MASTER_PORT": "29611"}
        done = python(code, **env)
        assert done.returncode == 0, done.stderr
