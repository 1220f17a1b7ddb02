"""torch.export with dynamic batch, height and width, against eager at other sizes."""

from pathlib import Path

import pytest
import torch
from graphs import small_published, wrap

import uninas
from uninas import Genotype
from uninas.blocks.library import attention
from uninas.compiler import PASSES
from uninas.genotype import Downsample, GraphBuilder, Stage, Stem, StemConv


def everything() -> Genotype:
    """Most operations and kinds of downsampling; the rest is in the published networks."""
    stored = Genotype.load(Path(__file__).parents[1] / "genotype" / "assets" / "v1_everything.yaml")
    local, attention = stored.stages[0].blocks[0], stored.stages[1].blocks[1]
    stages = [(16, "none", local), (24, "project", attention), (32, "basic", local), (32, "patch", attention)]
    return Genotype(tuple(Stage(w, (b,), Downsample(kind)) for w, kind, b in stages), Stem((StemConv(16, 3, 2),)))


GENOTYPES = {
    "coatnet": uninas.blocks.network("coatnet", widths=(8, 16, 16, 32), depths=(1, 1, 1, 1), input_size=64),
    "everything": everything(),
    **{
        name: uninas.blocks.network(name, **small_published(name), input_size=64)
        for name in uninas.blocks.PUBLISHED
        if name != "convnext_tiny"  # needs what `uninas.export.program` sets: see docs/export.md, --dynamic
    },
}


@pytest.mark.skipif(
    tuple(map(int, torch.__version__.split(".")[:2])) < (2, 11),
    reason="torch.export leaves every size open in torch 2.11; in 2.6 it does not, and none between was tried",
)
@pytest.mark.slow
@pytest.mark.parametrize("name", GENOTYPES)
def test_exported_network_runs_at_any_size(name):
    net = uninas.build(GENOTYPES[name], 5, passes=() if name == "everything" else PASSES).eval()
    sizes = {0: torch.export.Dim("batch"), 2: torch.export.Dim("height", min=64), 3: torch.export.Dim("width", min=64)}
    program = torch.export.export(net, (torch.randn(2, 3, 64, 96),), dynamic_shapes=(sizes,))
    exported = program.module()
    for shape in ((2, 3, 64, 96), (1, 3, 96, 64), (3, 3, 65, 97), (1, 3, 128, 72)):
        x = torch.randn(*shape)
        torch.testing.assert_close(exported(x), net(x), rtol=1e-4, atol=1e-5)


@pytest.mark.skipif(
    tuple(map(int, torch.__version__.split(".")[:2])) < (2, 11),
    reason="sizes are left open from torch 2.11 on, see above",
)
@pytest.mark.parametrize("bias_size", [None, 4])
def test_attention_of_several_heads_in_onnx(bias_size):
    """The exporter takes fused attention apart into products, whose layout is another than the fused one's."""
    pytest.importorskip("onnxscript")
    onnxruntime = pytest.importorskip("onnxruntime")
    b = GraphBuilder()
    graph = b.build(attention(b, b.input, heads=2, bias_size=bias_size))
    net = uninas.build(wrap(graph), 3).eval()
    sizes = {0: torch.export.Dim("batch"), 2: torch.export.Dim("height", min=2), 3: torch.export.Dim("width", min=2)}
    exported = torch.onnx.export(net, (torch.randn(2, 3, 4, 6),), dynamic_shapes=(sizes,), dynamo=True, verbose=False)
    assert exported is not None
    session = onnxruntime.InferenceSession(exported.model_proto.SerializeToString())
    for shape in ((2, 3, 4, 6), (1, 3, 7, 5), (5, 3, 4, 4)):
        x = torch.randn(*shape)
        (found,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
        torch.testing.assert_close(torch.from_numpy(found), net(x).detach(), rtol=1e-4, atol=1e-5)
