"""Where in a network its selected scalars act.

In a network that uninas compiled, at the modules that own them. In any other that is found, with reference rows to
check by, by plain autograd.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from uninas.compiler.network import Network
from uninas.proxies.failures import ProxyFailure, logits_of

TESTED = ("torch.nn.modules.", "torch.fx.", "timm.layers.drop", "uninas.ops.", "uninas.compiler.")
"""Where the modules come from whose samples do not see each other and whose weights act in their own output alone."""

Taps = dict[nn.Module, list[tuple[int, str]]]


class Location(NamedTuple):
    """What a few samples tell about the network.

    Attributes:
        taps: modules whose output moves with a selected scalar: positions in the selection, and parameter names.
        rows: S x P, the derivatives of cotangent * logits of each sample with respect to the selected scalars.
        cotangent: C.
        used: how many of the P scalars the network uses.
    """

    taps: Taps
    rows: Tensor
    cotangent: Tensor
    used: int


def locate_parameters(net: nn.Module, x: Tensor, parameters: Sequence[nn.Parameter]) -> Location:
    """Runs `net` forward and backward on single samples, as it is: nothing of it is replaced.

    Args:
        net: a classifier in eval mode, its parameters frozen.
        x: S x C_in x H x W.
        parameters: P parameters of `net`, each selected for its element 0.
    """
    with _output_lengths(net) as alone, torch.no_grad():
        classes = logits_of(net, x[:1]).shape[1]
    # Of all classes, so that nothing hides in those which another direction leaves out.
    cotangent = torch.randn(classes, generator=torch.Generator().manual_seed(0)).to(x)
    rows, used, tappable = [], set[int](), set(net.modules())
    for sample in x:
        with _output_lengths(net) as paired:
            row = _plain_row(net, sample, parameters, cotangent)
        used |= set(row)
        tappable &= {module for module, lengths in paired.items() if _can_be_tapped(module, alone[module], lengths)}
        rows.append(torch.stack([row.get(p, x.new_zeros(())) for p in range(len(parameters))]))
    return Location(
        _locate(net, {id(parameters[p]): p for p in used}, tappable), torch.stack(rows), cotangent, len(used)
    )


def _plain_row(
    net: nn.Module, sample: Tensor, parameters: Sequence[nn.Parameter], cotangent: Tensor
) -> dict[int, Tensor]:
    """The derivative of cotangent * logits of one sample by each scalar that the logits depend on.

    The sample goes through twice, as a batch of 2: torch has layers whose gradients are wrong for a batch of 1 (2.14,
    batch norm on a CPU), and copies of a sample that see each other see what it sees when it is alone.
    """
    kept = [parameter.grad for parameter in parameters]
    row: dict[int, Tensor] = {}

    def take(position: int, parameter: Tensor) -> None:
        # Gradients of whole weights are as large as the network: each goes as soon as its element 0 is read.
        row[position] = first_elements([parameter.grad], sample)[0]
        parameter.grad = None

    handles = []
    for position, parameter in enumerate(parameters):
        parameter.requires_grad_(True).grad = None
        handles.append(parameter.register_post_accumulate_grad_hook(partial(take, position)))
    try:
        logits = logits_of(net, torch.stack([sample, sample]))
        if logits.requires_grad:
            logits.backward((cotangent / 2).expand_as(logits), inputs=list(parameters))
    except RuntimeError as error:
        raise ProxyFailure("not differentiable", str(error)) from error
    finally:
        for handle in handles:
            handle.remove()
        for parameter, gradient in zip(parameters, kept, strict=True):
            parameter.requires_grad_(False).grad = gradient
    return row


@contextmanager
def _output_lengths(net: nn.Module) -> Iterator[dict[nn.Module, list[int]]]:
    """Within, collects the length of the first dimension of what each module returns; -1 for what is no tensor."""
    lengths: dict[nn.Module, list[int]] = defaultdict(list)

    def note(module: nn.Module, args: tuple, out: Any) -> None:
        lengths[module].append(len(out) if isinstance(out, Tensor) and out.dim() else -1)

    handles = [module.register_forward_hook(note) for module in net.modules()]
    try:
        yield lengths
    finally:
        for handle in handles:
            handle.remove()


def _can_be_tapped(module: nn.Module, alone: list[int], paired: list[int]) -> bool:
    """Whether twice the samples are twice the outputs, or, in our operations, one output serves all samples.

    What others do with a single output is not known: XCiT repeats it for each sample.
    """
    ours = type(module).__module__.startswith("uninas.ops.")
    pairs = list(zip(alone, paired))
    return len(alone) == len(paired) and all(n > 0 and (m == 2 * n or (ours and m == n == 1)) for n, m in pairs)


def is_compiled(net: nn.Module) -> bool:
    """Whether `net` is as `uninas.build` made it, of operations that our tests cover."""
    return type(net) is Network and all(
        type(module).__module__.startswith(TESTED)
        and "forward" not in module.__dict__
        and not module._forward_hooks
        and not module._forward_pre_hooks
        for module in net.modules()
    )


def owners(net: nn.Module, parameters: Sequence[nn.Parameter]) -> Taps:
    """The modules that own `parameters`, P of them."""
    return _locate(net, {id(parameter): p for p, parameter in enumerate(parameters)}, set(net.modules()))


def first_elements(gradients: Sequence[Tensor | None], like: Tensor) -> Tensor:
    """P: element 0 of each gradient, 0 where there is none; of the dtype and device of `like`."""
    return torch.stack([like.new_zeros(()) if g is None else g[(0,) * g.dim()] for g in gradients])


def _locate(net: nn.Module, positions: dict[int, int], tappable: set[nn.Module]) -> Taps:
    """Maps each place of each parameter to the owning module, or to its nearest ancestor that can be tapped.

    A parent may use a parameter without calling the owner, as nn.MultiheadAttention does with its `out_proj`; and an
    owner may return something without samples, such as a table of biases or a normalised weight.
    """
    taps: Taps = {}

    def visit(module: nn.Module, lineage: list[tuple[nn.Module, str]]) -> None:
        for name, parameter in module._parameters.items():
            if id(parameter) not in positions:
                continue
            for ancestor, prefix in lineage:
                if ancestor in tappable:
                    place = (positions[id(parameter)], prefix + name)
                    if place not in taps.setdefault(ancestor, []):
                        taps[ancestor].append(place)
                    break
        for name, child in module.named_children():
            visit(child, [(child, ""), *((ancestor, f"{prefix}{name}.") for ancestor, prefix in lineage)])

    visit(net, [(net, "")])
    return taps
