"""Packages compiled ahead of time."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from small import chain, small

import uninas
from uninas.export import aoti
from uninas.export.errors import ExportError
from uninas.export.run import export_network
from uninas.export.verify import compare


@pytest.mark.slow
@pytest.mark.skipif(not any(map(shutil.which, aoti.COMPILERS)), reason="needs a C++ compiler")
def test_a_package_says_which_machine_it_fits_and_runs(tmp_path, monkeypatch):
    compared = []
    monkeypatch.setattr(aoti, "compare", lambda *a: compared.append(a[3]) or compare(*a))
    network = chain("conv", "batch_norm", "gelu")
    done = export_network(network, "aoti", tmp_path / "n.pt2", input_size=(8, 8), num_classes=3, dynamic=("batch",))
    assert compared == ["AOTInductor with other weights", "AOTInductor"]
    assert done.files == (tmp_path / "n.pt2", tmp_path / "n.json") and done.difference < 1e-4
    label = json.loads(done.files[1].read_text())
    assert label["torch"] == torch.__version__ and label["genotype_key"] == network.key
    assert label["processor"] in done.notes[0]
    package = torch._inductor.aoti_load_package(str(done.files[0]))
    assert package.get_metadata()["processor"] == label["processor"]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["n.json", "n.pt2"]
    x = torch.randn(3, 3, 8, 8)
    torch.testing.assert_close(package(x), uninas.build(network, 3).eval()(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("asked", [None, "no-such-compiler"])
def test_without_a_compiler(asked, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    if asked:
        monkeypatch.setenv("CXX", asked)
    with pytest.raises(ExportError, match=asked or r"none of g\+\+, clang\+\+ is on the path; install one"):
        export_network(small(), "aoti", tmp_path / "n.pt2", input_size=(32, 32))
    assert list(tmp_path.iterdir()) == []
