"""State dicts: theirs -> ours and back, along the links of a conversion."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from ..compiler import Network
from ..compiler.init import without_initialisation
from ..compiler.weights import load_weights, read_file, tensors_of
from ..errors import WeightsError
from ..genotype import Genotype
from .emit import Link
from .networks import Conversion
from .tree import BAND

TABLE = "relative_position_bias_table"


def to_ours(conversion: Conversion, num_classes: int, path: str | Path) -> dict[str, Tensor]:
    """Their state dict in a file as the state dict of our network.

    Raises:
        WeightsError: the file cannot be read, or is not of this network.
    """
    state = tensors_of(read_file(path), path)
    known = {name for link in conversion.links for name in link.theirs}
    missing = [name for name in sorted(known) if name not in state]
    known |= set(conversion.masks)
    extra = [name for name in state if name not in known and not name.startswith(tuple(conversion.unused))]
    for what, names in (("are missing", missing), ("have no place in the network", extra)):
        if names:
            raise WeightsError(f"{path}: {len(names)} tensors {what}, first {names[0]}: weights of another network")
    return {link.ours: _joined(link, state, shape, path) for link, shape in _shaped(conversion, num_classes)}


def to_theirs(conversion: Conversion, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our state dict as theirs.

    What nothing reads has its first value there: norms 1 and 0, masks the band.

    Args:
        weights: of our network, as `conversion` names them.
    """
    found: dict[str, Tensor] = {}
    for link in conversion.links:
        ours = weights[link.ours]
        if not ours.dim():
            found.update({name: ours.clone() for name in link.theirs})
            continue
        if link.order is not None:
            ours = ours[torch.tensor(link.order).argsort()]
        for name, part in zip(link.theirs, ours.chunk(len(link.theirs))):
            found[name] = (part.flatten() if name.endswith(TABLE) else part).clone()
    for name, side in conversion.masks.items():
        i = torch.arange(side)
        found[name] = ((i[:, None] - i).abs() <= BAND).float()
    for prefix in conversion.unused:  # what is written back has nothing unused but norms before sub-blocks
        width = conversion.genotype.stages[int(prefix.split(".")[1])].width
        found |= {f"{prefix}weight": torch.ones(width), f"{prefix}bias": torch.zeros(width)}
    return found


def own_weights(genotype: Genotype, num_classes: int, path: str | Path) -> dict[str, Tensor]:
    """The state dict in a file, as our network of the genotype has it.

    Raises:
        WeightsError: the file cannot be read, or is not of this network.
    """
    with without_initialisation():
        network = Network(genotype, num_classes, None, 0.0, ())
    load_weights(network, path)
    return network.state_dict()


def classes_of(genotype: Genotype, path: str | Path) -> int:
    """The classes of our network's classifier in a file; 0 where it has none."""
    layers = genotype.head.layers(genotype.stages[-1].width, 1)
    weight = tensors_of(read_file(path), path).get(f"head.{len(layers) - 1}.weight")
    return 0 if weight is None else len(weight)


def _shaped(conversion: Conversion, num_classes: int) -> list[tuple[Link, torch.Size]]:
    """Each link with the shape of our tensor; every tensor of the network has one."""
    with torch.device("meta"), without_initialisation():
        network = Network(conversion.genotype, num_classes, None, 0.0, ())
    own = {name: tensor.shape for name, tensor in network.state_dict().items()}
    linked = {link.ours for link in conversion.links}
    if linked != set(own):
        odd = sorted(linked ^ set(own))[0]
        raise WeightsError(f"{odd} has no weights of theirs; please report this")
    return [(link, own[link.ours]) for link in conversion.links]


def _joined(link: Link, state: Mapping[str, Tensor], shape: torch.Size, path: str | Path) -> Tensor:
    parts = [state[name] for name in link.theirs]
    if not shape:  # a counter: that of the first head
        return parts[0].reshape(())
    rows = shape[0] // len(parts)
    for name, part in zip(link.theirs, parts):
        expected = torch.Size((rows * shape[1] * shape[2],)) if name.endswith(TABLE) else torch.Size((rows, *shape[1:]))
        if part.shape != expected:
            shapes = f"{tuple(part.shape)} there, {tuple(expected)} here"
            raise WeightsError(f"{path}: {name} differs in shape ({shapes}): weights of another network")
    joined = torch.cat([part.reshape(rows, *shape[1:]) for part in parts])
    return joined if link.order is None else joined[torch.tensor(link.order)]
