"""The published networks are timm's: parameters, and numbers with timm's weights copied."""

import pytest
import timm
import torch
from torch import nn

import uninas
from uninas.blocks import PUBLISHED
from uninas.timm import SAME_AS_TIMM, from_timm
from uninas.timm.checkpoint import TimmError
from uninas.timm.weights import copy_weights

every_network = pytest.mark.parametrize("name", SAME_AS_TIMM)


def size_of(name: str) -> int:
    return 224 if name.startswith("coatnet") else 96


def theirs_and_ours(name: str, **settings) -> tuple[nn.Module, nn.Module]:
    """timm's network with weights and statistics that no initialisation gives, and ours with the same."""
    theirs = timm.create_model(name, **settings).eval()
    generator = torch.Generator().manual_seed(1)
    for key, value in theirs.state_dict().items():
        if "running_var" in key:
            value.uniform_(0.5, 1.5, generator=generator)
        elif "running_mean" in key or key.endswith(("bias", "table")):
            value.normal_(0.0, 0.2, generator=generator)
        elif "num_batches_tracked" in key:
            value.fill_(7)
        elif value.ndim == 1:  # of norms and layer scales
            value.uniform_(0.5, 1.5, generator=generator)
        else:
            value.normal_(0.0, value[0].numel() ** -0.5, generator=generator)
    made: nn.Module = timm.create_model(f"uninas_{SAME_AS_TIMM[name]}", **settings).eval()
    copy_weights(theirs, made)
    return theirs, made


def test_every_published_network_is_one_of_timms():
    assert set(SAME_AS_TIMM.values()) == set(PUBLISHED)


@every_network
def test_parameters(name):
    with torch.device("meta"):
        theirs = timm.create_model(name)
    assert uninas.cost(uninas.blocks.network(SAME_AS_TIMM[name])).params == sum(p.numel() for p in theirs.parameters())


@every_network
def test_numbers(name):
    theirs, ours = theirs_and_ours(name, num_classes=11)
    x = torch.randn(1, 3, size_of(name), size_of(name), generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        expected, found = theirs(x), ours(x)
    print(f"{name}: largest difference {(found - expected).abs().max():.1e} of {expected.abs().max():.1e}")
    assert expected.std() > 0.05  # the outputs say something
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)


@pytest.mark.slow
@every_network
def test_gradients(name):
    """Of the image, which go through everything."""
    pair = theirs_and_ours(name, num_classes=11)
    images = torch.randn(1, 3, size_of(name), size_of(name), generator=torch.Generator().manual_seed(2))
    gradients = []
    for net in pair:
        x = images.clone().requires_grad_()
        net(x).square().sum().backward()
        gradients.append(x.grad)
    scale = gradients[0].abs().max()
    torch.testing.assert_close(gradients[1] / scale, gradients[0] / scale, rtol=0, atol=1e-4)


def test_from_timm():
    torch.manual_seed(0)
    net = from_timm("mobilenetv2_100", num_classes=4, in_chans=1)
    torch.manual_seed(0)
    theirs = timm.create_model("mobilenetv2_100", num_classes=4, in_chans=1)
    x = torch.randn(2, 1, 64, 64)
    torch.testing.assert_close(net.eval()(x), theirs.eval()(x), rtol=1e-5, atol=1e-4)
    assert net.genotype == uninas.blocks.network("mobilenet_v2")
    assert net.pretrained_cfg["mean"] == theirs.pretrained_cfg["mean"]
    plain = uninas.build(net.genotype, 4, in_chans=1).eval()
    plain.load_state_dict(net.state_dict())
    assert torch.equal(plain(x), net(x))


def test_what_does_not_fit():
    with pytest.raises(TimmError, match=r"no genotype of timm's 'resnet51'; did you mean 'resnet50'"):
        from_timm("resnet51")
    ours = timm.create_model("uninas_resnet50", num_classes=3)
    before = {key: value.clone() for key, value in ours.state_dict().items()}
    with pytest.raises(TimmError, match=r"timm's layer3\.0\.conv1\.weight of shape .* does not fit our stages\.1\.3\."):
        copy_weights(
            timm.create_model("resnet50", num_classes=3, layers=(3, 4, 6, 3)),
            timm.create_model("uninas_resnet50", num_classes=3, depths=(3, 5, 6, 3)),
        )
    with pytest.raises(TimmError, match=r"timm's fc\.weight has no counterpart"):
        copy_weights(timm.create_model("resnet50", num_classes=3), timm.create_model("uninas_resnet50", num_classes=0))
    with pytest.raises(TimmError, match=r"timm's fc\.weight of shape \(5, 2048\) does not fit our head\.1\.weight"):
        copy_weights(timm.create_model("resnet50", num_classes=5), ours)
    assert all(torch.equal(value, before[key]) for key, value in ours.state_dict().items())
