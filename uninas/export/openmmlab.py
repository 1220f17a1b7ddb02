"""Hands a genotype to mmdet or mmseg: one config file that their own tools run, the weights, and how to run it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

from .. import __version__
from ..engine.backbone import UniNASBackbone, as_genotype
from ..engine.config import build_config
from ..engine.config.frameworks import FRAMEWORKS, levels
from ..engine.errors import ExportError
from ..engine.files import new_folder
from ..engine.protocol import load
from ..engine.settings import Detection, Segmentation
from ..engine.weights import LoadReport, load_backbone
from ..errors import nearest
from ..genotype import Genotype

DEFAULTS = {
    "mmdet": ("mask_rcnn", "coco_mask_rcnn", "data/coco"),
    "mmseg": ("upernet", "ade20k_upernet", "data/ade20k"),
}
"""Framework, protocol and data folder where none is given."""

MARKER = "README.md"
HERE = "{{ fileDirname }}"
"""What mmengine replaces with the folder of the config that it reads."""


@dataclass(frozen=True)
class Exported:
    """What was written."""

    config: Path
    readme: Path
    checkpoint: Path | None
    loaded: LoadReport | None
    """What the checkpoint was made from."""


def export(
    genotype: Genotype,
    to: str,
    out: str | Path,
    framework: str | None = None,
    weights: str | Path | None = None,
    protocol: str | Path | None = None,
    changes: dict[str, Any] | None = None,
    data_root: str | None = None,
    force: bool = False,
) -> Exported:
    """Write a folder with a self-contained config, the backbone's weights, and a README with the commands.

    Args:
        to: "mmdet" or "mmseg".
        framework: a detector or segmentor of that package; default: Mask R-CNN, UperNet.
        weights: a checkpoint with the backbone's weights, e.g. of a classification run. None: no weights.
        protocol: the training protocol that fills the config; default: COCO's, ADE20K's.
        changes: to the protocol, nested like its file.
        data_root: the data set's folder; default: data/coco, data/ade20k under where the commands are run.

    Raises:
        ExportError: an argument does not fit; EngineError: a package is missing or the weights do not fit.
    """
    if to not in DEFAULTS:
        raise ExportError(f"--to: there is no {to!r}; {nearest(to, DEFAULTS)}")
    default_framework, default_protocol, default_root = DEFAULTS[to]
    framework = framework or default_framework
    fitting = [name for name, spec in FRAMEWORKS.items() if spec.package == to]
    if framework not in fitting:
        raise ExportError(f"--framework: {to} has no {framework!r}; {nearest(framework, fitting)}")
    changes = {**(changes or {}), "model": {**(changes or {}).get("model", {}), "framework": framework}}
    plan = load(protocol or default_protocol, changes)
    if not isinstance(plan, Detection if to == "mmdet" else Segmentation):
        raise ExportError(f"--protocol: {plan.name} is for {plan.task}, which {to} does not do")
    cfg = build_config(plan, genotype, data_root or default_root)
    out = Path(out)
    name = f"{genotype.name or genotype.key[:8]}_{framework}"
    with new_folder(out, MARKER, force, ExportError) as folder:
        report = None
        if weights is not None:
            report = _write_weights(genotype, weights, folder / "backbone.pth", plan.model.out_norm)
            cfg.model.backbone.init_cfg = {"type": "Pretrained", "checkpoint": f"{HERE}/backbone.pth", "prefix": ""}
        file = folder / f"{name}.py"
        file.write_text(f'"""{_title(genotype, framework, plan.name)}"""\n\n{cfg.pretty_text}', "utf-8")
        _read_back(file, cfg, folder)
        (folder / MARKER).write_text(_readme(genotype, to, framework, file.name, report, plan), "utf-8")
    checkpoint = out / "backbone.pth" if weights is not None else None
    return Exported(out / f"{name}.py", out / MARKER, checkpoint, report)


def _write_weights(genotype: Genotype, source: str | Path, target: Path, out_norm: bool) -> LoadReport:
    """Only the backbone's tensors that the checkpoint has, under the names that `uninas.build` gives them."""
    backbone = UniNASBackbone(genotype, levels(genotype), out_norm=out_norm)
    report = load_backbone(backbone, source)
    state = {name: tensor for name, tensor in backbone.state_dict().items() if name not in report.missing}
    meta = {"uninas": __version__, "genotype": {"name": genotype.name, "key": genotype.key}}
    torch.save({"state_dict": state, "meta": meta}, target)
    return report


def _read_back(file: Path, cfg: Config, folder: Path) -> None:
    """Compare what was written with what was meant."""
    read = Config.fromfile(file, import_custom_modules=False)
    meant = Config.fromstring(cfg.pretty_text.replace(HERE, str(folder.absolute())), ".py")
    if read.to_dict() != meant.to_dict():
        raise ExportError(f"{file.name}: what was written does not read back the same; please report this")
    as_genotype(read.model.backbone.genotype)


def _title(genotype: Genotype, framework: str, protocol: str) -> str:
    who = genotype.name or genotype.key[:12]
    return f"{framework} with the backbone {who}, protocol {protocol}. Written by uninas."


def _readme(
    genotype: Genotype,
    to: str,
    framework: str,
    config: str,
    report: LoadReport | None,
    plan: Detection | Segmentation,
) -> str:
    weights = (
        f"`backbone.pth` holds the backbone's {len(report.loaded)} weight tensors."
        if report
        else "There are no weights: training starts from the initialisation. Export with `--weights` to have them."
    )
    channels = ", ".join(str(genotype.stages[i].width) for i in levels(genotype))
    strides = ", ".join(str(genotype.strides[i]) for i in levels(genotype))
    return f"""\
# {framework} with {genotype.name or genotype.key[:12]}

Genotype `{genotype.key}`; feature maps of {channels} channels at strides {strides}.
{weights}
The config follows the protocol `{plan.name}`. Its learning rate is that of one GPU with {plan.batch_size} images;
`auto_scale_lr` multiplies it by the number of GPUs, as published.

Needs `pip install "uninas-toolkit[mm]"` and the data set where `data_root` in the config says. With {to}'s own tools:

```bash
uninas mm train {config} --work-dir work                                   # one GPU, or a CPU
torchrun --nproc_per_node 8 -m uninas mm train {config} --work-dir work    # eight GPUs, eight times the rate
uninas mm test {config} work/CHECKPOINT.pth
```

`uninas mm train` runs the `tools/train.py` of the installed {to} and hands it what follows. It is needed beside an mmcv
without compiled operators (mmcv-lite), which {to} imports before it reads any config; beside a compiled mmcv,
`python tools/train.py {config}` in a checkout of {to} does the same.
"""
