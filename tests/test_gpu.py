"""On a GPU as on a CPU: scores, attention in parts, and a search. (Training meets a GPU in tests/engine.)"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import uninas
from uninas import proxies
from uninas.ops import large_attention
from uninas.ops.large_attention import LargeBias
from uninas.proxies.fisher import fisher_information

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU that torch can use")

ROOT = Path(__file__).resolve().parents[1]
SMALL = {"widths": (16, 16, 32, 32), "depths": (1, 1, 1, 1), "input_size": 64}
CHAOTIC = {"synflow"}
"""Its magnitudes explode in attention, where rounding then decides."""


@pytest.fixture(autouse=True)
def full_precision():
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cudnn.allow_tf32 = before


def images(batch: int = 4) -> torch.Tensor:
    return torch.randn(batch, 3, 48, 64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", uninas.blocks.NETWORKS)
def test_scores_are_those_of_a_cpu(name):
    net, x = uninas.build(uninas.blocks.network(name, **SMALL), 5), images(32)
    names = [proxy for proxy in proxies.available() if proxy not in CHAOTIC]
    on_cpu = proxies.score(net, names, x, 1)
    on_gpu = proxies.score(net.cuda(), names, x.cuda(), 1)
    for proxy in names:
        assert (on_gpu[proxy].failure is None) == (on_cpu[proxy].failure is None), proxy
        assert on_gpu[proxy].value == pytest.approx(on_cpu[proxy].value, rel=1e-2, abs=1e-3), proxy


@pytest.mark.parametrize("chunk", [1, 16])
def test_the_fisher_matrix_is_that_of_a_cpu(chunk):
    net, x = uninas.build(uninas.blocks.network("coatnet", **SMALL), 5), images()
    expected = fisher_information(net, x).mean(0)
    found = fisher_information(net.cuda(), x.cuda(), class_chunk=chunk).mean(0).cpu()
    assert (found - expected).norm() <= 1e-5 * expected.norm()


@pytest.mark.parametrize("tile", [1, 150, 10**9])
def test_gradients_of_attention_in_parts_are_difference_quotients(monkeypatch, tile):
    monkeypatch.setitem(large_attention.TILE, "cuda", tile)
    shapes = [(2, 2, 15, 4)] * 3 + [(1, 2, 5, 9)]
    values = [torch.randn(shape, dtype=torch.float64).cuda().requires_grad_() for shape in shapes]
    assert torch.autograd.gradcheck(
        lambda q, k, v, table: large_attention.attend(q, k, v, LargeBias(table, 3, 5)), values
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", uninas.blocks.NETWORKS)
def test_fused_equals_plain(name):
    genotype = uninas.blocks.network(name)
    fused, plain = (uninas.build(genotype, 5, **kw).cuda().eval() for kw in ({}, {"passes": ()}))
    for shape in ((2, 3, 224, 224), (1, 3, 256, 192)):
        x = torch.randn(shape, device="cuda")
        with torch.no_grad():
            torch.testing.assert_close(fused(x), plain(x), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_a_search_on_a_gpu_resumes_there_and_nowhere_else(tmp_path):
    start, out = tmp_path / "start.yaml", tmp_path / "run"
    uninas.blocks.network("coatnet", **SMALL).save(start)
    settings = ["--max-params", "300K", "--start", str(start), "--out", str(out), "--iterations", "8"]
    settings += ["--proxy", "vkdnw", "--proxy-size", "32", "--proxy-batch", "16", "--input-size", "64"]
    settings += ["--workers", "2", "--json"]

    def run(*more: str) -> subprocess.CompletedProcess:
        command = [sys.executable, str(ROOT / "tools" / "search.py"), *settings, *more]
        return subprocess.run(command, capture_output=True, text=True, timeout=600)

    done = run("--device", "cuda")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["best"]["score"] >= json.loads(done.stdout)["start"]["score"]
    again = run("--device", "cuda:0", "--resume")
    assert json.loads(again.stdout)["best"] == json.loads(done.stdout)["best"]
    refused = run("--resume")
    assert refused.returncode != 0 and "device: 'cuda' in the study, 'cpu' now" in refused.stderr
