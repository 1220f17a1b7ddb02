"""The last part of a file: the network itself, as a classifier or as a registered backbone."""

from __future__ import annotations

from collections.abc import Sequence

from ...genotype import Genotype


def classifier(name: str, init: Sequence[str], head: Sequence[str], num_classes: int) -> str:
    """The class of the network, and `load`.

    Args:
        init: lines that make `self.stem` and `stages`.
        head: lines that make `self.head`.
    """
    inner, after = "\n".join(init), "\n".join(head)
    argument = f"num_classes: int = {num_classes}" if num_classes else ""
    gives = "logits B x num_classes" if num_classes else "pooled features B x C"
    flat = "" if num_classes else ".flatten(1)"
    return f'''\
class {name}(nn.Module):
    """B x 3 x H x W -> {gives}."""

    def __init__(self{argument and ", " + argument}) -> None:
        super().__init__()
{inner}
        self.stages = nn.ModuleList(stages)
{after}

    def features(self, x: Tensor) -> list[Tensor]:
        """The output of every stage."""
        x, found = self.stem(x), []
        for stage in self.stages:
            x = stage(x)
            found.append(x)
        return found

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x)[-1]){flat}


def load(path: str{argument and ", " + argument}) -> {name}:
    """The network in eval mode, with the weights of a .pt, .pth or .safetensors file.

    Checkpoints of training runs will do, too. Raises KeyError where a weight is missing.
    """
    if str(path).endswith(".safetensors"):
        from safetensors.torch import load_file

        found = load_file(path)
    else:
        foreign = torch.serialization.get_unsafe_globals_in_checkpoint(path) if is_zipfile(path) else []
        ignored = type("Ignored", (), dict.fromkeys(("__init__", "__setstate__"), lambda *_: None))  # a trainer's log
        with torch.serialization.safe_globals([(ignored, name) for name in foreign]):
            found = torch.load(path, map_location="cpu", weights_only=True)
        found = found.get("state_dict", found)
    found = {{name.removeprefix("module.").removeprefix("backbone."): tensor for name, tensor in found.items()}}
    network = {name}({"num_classes" if num_classes else ""})
    network.load_state_dict({{name: found[name] for name in network.state_dict()}})
    return network.eval()
'''


def detector_backbone(name: str, init: Sequence[str], genotype: Genotype, framework: str) -> str:
    """The class of the network without its head, in OpenMMLab's form."""
    inner = "\n".join(init)
    indices = tuple(range(len(genotype.stages)))
    default = f"({indices[0]},)" if len(indices) == 1 else str(indices)
    return f'''\
@MODELS.register_module()
class {name}(BaseModule):
    """B x 3 x H x W -> feature maps of the stages in `out_indices`; later stages are not built.

    Args:
        frozen_stages: -1 freezes nothing, 0 the stem, n the stem and the first n stages.
        norm_eval: keep batch norms at their stored statistics while training.
    """

    def __init__(
        self,
        out_indices: tuple[int, ...] = {default},
        frozen_stages: int = -1,
        norm_eval: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.out_indices = tuple(out_indices)
        self.frozen_stages = frozen_stages
        self.norm_eval = norm_eval
{inner}
        self.stages = nn.ModuleList(stages[: max(self.out_indices) + 1])
        self.freeze()

    def freeze(self) -> None:
        """Turns off gradients of frozen stages, and keeps them in eval mode."""
        frozen = [self.stem, *self.stages[: self.frozen_stages]] if self.frozen_stages >= 0 else []
        for module in frozen:
            module.eval().requires_grad_(False)

    def train(self, mode: bool = True) -> {name}:
        super().train(mode)
        self.freeze()
        if mode and self.norm_eval:
            for module in self.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
        return self

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        x, found = self.stem(x), []
        for index, stage in enumerate(self.stages):
            x = stage(x)
            if index in self.out_indices:
                found.append(x)
        return tuple(found)
'''
