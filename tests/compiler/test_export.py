"""torch.export with dynamic batch, height and width, against eager at other sizes."""

import pytest
import torch

import uninas
from uninas.compiler import PASSES


@pytest.mark.parametrize("passes", [(), PASSES], ids=["plain", "rewritten"])
def test_exported_network_runs_at_any_size(passes):
    genotype = uninas.blocks.network("coatnet", widths=(8, 16, 16, 32), depths=(1, 1, 1, 1), input_size=64)
    net = uninas.build(genotype, 5, passes=passes).eval()
    sizes = {0: torch.export.Dim("batch"), 2: torch.export.Dim("height", min=64), 3: torch.export.Dim("width", min=64)}
    program = torch.export.export(net, (torch.randn(2, 3, 64, 96),), dynamic_shapes=(sizes,))
    exported = program.module()
    for shape in ((2, 3, 64, 96), (1, 3, 96, 64), (3, 3, 65, 97), (1, 3, 128, 72)):
        x = torch.randn(*shape)
        torch.testing.assert_close(exported(x), net(x), rtol=1e-4, atol=1e-5)
