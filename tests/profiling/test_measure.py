"""A profile adds up, leaves torch as it was, and says what failed."""

from __future__ import annotations

import csv
import io
import json

import pytest
import torch
from torch import nn

import uninas
from uninas.errors import GenotypeError
from uninas.profiling import ProfilingError, measure, profile_network
from uninas.profiling.clocks import BETWEEN
from uninas.profiling.measure import Sum, total
from uninas.profiling.parts import stages_of
from uninas.profiling.text import facts, profile_csv, profile_tables

from .nets import small

SMALL = small()


@pytest.fixture(scope="module")
def profile():
    return profile_network(SMALL, batch=2, size=(32, 48), classes=5, threads=1, runs=3)


def test_stages_and_kinds_sum_to_the_whole(profile):
    whole = uninas.cost(SMALL, (32, 48), 5)
    assert (profile.params, profile.macs) == (whole.params, whole.macs)
    for sums in (profile.stages, profile.kinds):
        together = total(list(sums.values()))
        assert together[1:3] == (whole.params, whole.macs)
        assert together.seconds == pytest.approx(total(list(profile.cells.values())).seconds)
    assert tuple(profile.stages) == stages_of(SMALL)
    assert {"conv", "dwconv", "attention", "norm", "linear", BETWEEN} <= set(profile.kinds)
    assert profile.kinds[BETWEEN][:3] == (0, 0, 0)


def test_latency_and_throughput(profile):
    assert 0 < profile.latency.median <= profile.latency.p90 and profile.latency.runs == 3
    assert profile.images_per_second == 2 / profile.latency.median
    assert profile.memory.images == 4 * 2 * 3 * 32 * 48 and profile.memory.activations > 0


def test_json_is_data_and_shares_sum_to_one(profile):
    data = json.loads(json.dumps(profile.to_dict()))
    assert data["key"] == SMALL.key and data["memory"]["peak"] == profile.memory.peak
    for rows in ("stages", "kinds", "cells"):
        shares = [row["share"] for row in data[rows] if row["share"] is not None]  # passes leave operations out
        assert sum(shares) == pytest.approx(1.0)
        assert sum(row["macs"] for row in data[rows]) == profile.macs


def test_csv_has_the_whole_and_all_cells(profile):
    first, *rows = csv.DictReader(io.StringIO(profile_csv(profile)))
    assert (first["stage"], first["kind"], int(first["params"])) == ("all", "all", profile.params)
    assert len(rows) == len(profile.cells) and sum(int(row["macs"]) for row in rows) == int(first["macs"])
    assert sum(int(row["calls"]) for row in rows) == int(first["calls"])


def test_words_name_what_was_measured(profile):
    told = dict(facts(profile))
    assert told["input"] == "2x32x48 on cpu, 1 thread" and "3 passes" in told["latency"]
    assert [table.columns[0].header for table in profile_tables(profile)] == ["stage", "kind"]


def test_threads_and_random_numbers_are_left_alone():
    before, state = torch.get_num_threads(), torch.get_rng_state()
    whole = profile_network(SMALL, size=(32, 32), threads=before + 1, runs=1, by_part=False)
    assert whole.threads == before + 1 and whole.cells is None and whole.to_dict()["stages"] is None
    assert torch.get_num_threads() == before and torch.equal(torch.get_rng_state(), state)
    assert profile_tables(whole) == []


def test_times_that_are_missing_stay_missing():
    assert total([Sum(1, 2, 3, None), Sum(1, 0, 0, None)]) == (2, 2, 3, None)
    assert total([Sum(1, 2, 3, None), Sum(0, 0, 0, 0.5)]) == (1, 2, 3, 0.5)


def test_images_that_are_too_small_are_refused():
    with pytest.raises(GenotypeError, match="smaller than a 4 x 4 patch"):
        profile_network(small("convnext"), size=(3, 3))


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (RuntimeError("CUDA out of memory. Tried to allocate 20 GiB"), "1x32 on cpu: out of memory; a smaller --batch"),
        (MemoryError(), "out of memory"),
        (RuntimeError("no kernel image\nmore"), "1x32 on cpu: the network cannot run: no kernel image$"),
    ],
)
def test_what_torch_raises_is_named(error, told, monkeypatch):
    class Failing(nn.Module):
        def forward(self, x):
            raise error

    monkeypatch.setattr(measure, "network_and_images", lambda *_: (Failing(), torch.zeros(1, 3, 32, 32)))
    with pytest.raises(ProfilingError, match=told):
        profile_network(SMALL, size=(32, 32))


def test_a_compiler_is_needed(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(ProfilingError, match="needs a C\\+\\+ compiler"):
        profile_network(SMALL, size=(32, 32), runs=1, compiled=True)


def test_a_compiled_network_is_beside_the_eager_one(monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda network, dynamic: lambda x: network(x) * 1.25)
    found = profile_network(SMALL, size=(32, 32), classes=5, threads=1, runs=2, compiled=True)
    assert found.cells is None and found.compiled.runs == 2
    assert found.compiled.difference == pytest.approx(0.25, rel=1e-5)
    told = dict(facts(found))
    assert "of eager" in told["compiled"] and "left out" in told["operations"]
    assert [row["kind"] for row in csv.DictReader(io.StringIO(profile_csv(found)))] == ["all", "compiled"]


def test_a_network_that_cannot_be_compiled_says_so(monkeypatch):
    def refuse(network, dynamic):
        def run(x):
            raise TypeError("no lowering\nand more")

        return run

    monkeypatch.setattr(torch, "compile", refuse)
    with pytest.raises(ProfilingError, match=r"\(no lowering\): leave --compile out"):
        profile_network(SMALL, size=(32, 32), threads=1, runs=1, compiled=True)


@pytest.mark.slow
def test_torch_compile_for_real():
    graph = {"nodes": [{"op": "conv"}, {"op": "gelu"}]}
    stage = {"width": 8, "blocks": [{"subblocks": [{"graph": "mlp"}]}]}
    tiny = uninas.Genotype.from_dict({"schema_version": 1, "graphs": {"mlp": graph}, "stages": [stage]})
    found = profile_network(tiny, size=(32, 32), classes=5, threads=1, runs=2, compiled=True)
    assert found.compiled.difference < 1e-4 and found.compiled.compile_seconds > 0
