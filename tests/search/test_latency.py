"""Times are compared, never fixed: the machine that runs this is shared."""

from __future__ import annotations

import pytest
import torch

import uninas
from uninas import timing
from uninas.errors import ProxyError
from uninas.search import latency
from uninas.search.executors import wire
from uninas.search.latency import LatencyMetric, MeasuringScorer, measure_latency, parse_metric
from uninas.search.measurement import State
from uninas.search.scoring import ProxyScorer

SMALL = uninas.blocks.network("resnet", widths=(8, 8, 8, 8), depths=(1, 1, 1, 1), input_size=32)
LARGE = uninas.blocks.network("resnet", widths=(64, 64, 64, 64), depths=(2, 2, 2, 2), input_size=32)


def timed(genotype: uninas.Genotype, batch: int = 1, size: int | tuple[int, int] = 32) -> timing.Latency:
    return measure_latency(genotype, batch, size, 10, seconds=0.4)


def test_larger_networks_inputs_and_batches_take_longer():
    base = timed(SMALL)
    assert 0 < base.median <= base.p90 and base.runs >= timing.MIN_RUNS
    assert timed(LARGE).median > base.median
    assert timed(SMALL, batch=32).median > base.median
    assert timed(SMALL, size=(32, 512)).median > base.median


def test_a_latency_repeats_within_a_factor():
    first, second = timed(LARGE, 4), timed(LARGE, 4)
    assert 1 / 3 < first.median / second.median < 3


def test_threads_are_as_they_were_also_after_an_error(monkeypatch):
    before, seen = torch.get_num_threads(), []
    monkeypatch.setattr(latency, "time_runs", lambda *_: seen.append(torch.get_num_threads()))
    measure_latency(SMALL, threads=before + 1)
    assert seen == [before + 1]
    assert torch.get_num_threads() == before
    monkeypatch.setattr(latency, "time_runs", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        measure_latency(SMALL, threads=before + 1)
    assert torch.get_num_threads() == before


def test_random_state_and_gradients_are_left_alone():
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    timed(SMALL)
    assert torch.equal(torch.rand(3), expected)
    assert torch.is_grad_enabled()


@pytest.mark.parametrize(
    ("name", "metric"),
    [
        ("latency@1x224", LatencyMetric("median", 1, (224, 224))),
        ("latency_p90@8x800x1280", LatencyMetric("p90", 8, (800, 1280))),
        ("vkdnw", None),
        ("latency2@1x224", None),
    ],
)
def test_names_of_metrics(name, metric):
    assert parse_metric(name) == metric
    if metric is not None:
        assert metric.name == name


@pytest.mark.parametrize("name", ["latency", "latency@", "latency@224", "latency@1x0", "latency_p90@1x2x3x4"])
def test_a_latency_needs_an_input(name):
    with pytest.raises(ProxyError, match=f"{name}: .*such as latency"):
        parse_metric(name)


def test_a_scorer_measures_latencies_among_proxies(monkeypatch):
    asked: list[tuple] = []

    def measure(genotype, batch, size, classes, device, **options):
        asked.append((batch, size, classes, device, options["seconds"]))
        return timing.Latency(0.25 * batch, 0.5 * batch, 20)

    monkeypatch.setattr(latency, "measure_latency", measure)
    scorer = MeasuringScorer((32, 32), 4, 5, 3, latency_classes=7, latency_seconds=0.1)
    metrics = ("latency_p90@2x32", "naswot", "latency@1x32", "params", "latency@2x32")
    found = scorer.measure(SMALL, "search", 0, metrics)
    assert tuple(m.metric for m in found) == metrics
    assert all(m.state is State.MEASURED and m.seed == scorer.seed_of("search", 0) for m in found)
    assert [found[place].value for place in (0, 2, 4)] == [1.0, 0.25, 0.5]
    assert asked == [(2, (32, 32), 7, "cpu", 0.1), (1, (32, 32), 7, "cpu", 0.1)], "once for each input"
    proxies = ProxyScorer((32, 32), 4, 5, 3).measure(SMALL, "search", 0, ("naswot", "params"))
    assert [found[1].value, found[3].value] == [m.value for m in proxies]


def test_a_real_latency_by_a_scorer_that_went_to_a_worker():
    scorer = wire.scorer_from_json(wire.scorer_to_json(MeasuringScorer((32, 32), 4, 5, 3, latency_seconds=0.05)))
    (found,) = scorer.measure(SMALL, "latency", 0, ("latency@1x32",))
    assert found.value is not None and 0 < found.value < found.seconds
