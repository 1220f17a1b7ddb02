"""A scorer that does to its worker what metrics say, and a small network for it."""

from __future__ import annotations

import mmap
import os
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

import uninas
from uninas.search.executors import Task
from uninas.search.measurement import Measurement, State
from uninas.search.scoring import ProxyScorer

GENOTYPE = uninas.blocks.network("resnet", widths=(8, 8, 8, 8), depths=(1, 1, 1, 1), input_size=32)
PROXIES = ("naswot", "params")


def task(number: int, *actions: str, exclusive: bool = False) -> Task:
    return Task(number, GENOTYPE, "search", 0, actions, exclusive)


def states(measurements: Sequence[Measurement]) -> list[State]:
    return [measurement.state for measurement in measurements]


def results(executor, *tasks: Task) -> dict[int, list[Measurement]]:
    """What comes of tasks, each once."""
    for each in tasks:
        executor.submit(each)
    found = list(executor.results())
    assert len(found) == len({number for number, _ in found})
    return dict(found)


@dataclass(frozen=True)
class Acting(ProxyScorer):
    """Every metric is an action, such as `value`, `sleep:0.1` or `once:hang` (the first time only), or a proxy.

    Args:
        folder: where workers leave marks: the id of one that sleeps in `pid`, and one line in `log` when a score
            starts and when it ends.
    """

    size: tuple[int, int] = (32, 32)
    batch: int = 4
    classes: int = 5
    seed: int = 3
    folder: str = ""

    def measure(self, genotype, phase: str, repeat: int, metrics: Sequence[str]) -> list[Measurement]:
        if metrics[0] in PROXIES:
            return super().measure(genotype, phase, repeat, metrics)
        self._log(f"start {metrics[0]}")
        found = [self._act(metric, metric) for metric in metrics]
        self._log(f"end {metrics[0]}")
        return found

    def _log(self, line: str) -> None:
        if self.folder:
            with open(Path(self.folder, "log"), "a") as file:
                file.write(f"{line}\n")

    def _act(self, metric: str, action: str) -> Measurement:
        action, _, argument = action.partition(":")
        if action == "once":
            mark = Path(self.folder, f"done {argument}".replace(":", " "))
            if not mark.exists():
                mark.touch()
                self._act(metric, argument)
        elif action != "value":
            getattr(self, f"_{action}")(argument)
        return Measurement(metric, 1.5, State.MEASURED, None, 7, 0.0)

    def _sleep(self, seconds: str) -> None:
        if self.folder:
            Path(self.folder, "pid").write_text(str(os.getpid()))
        time.sleep(float(seconds))

    def _hang(self, _: str) -> None:
        self._sleep("1000")

    def _kill(self, number: str) -> None:
        os.kill(os.getpid(), int(number))

    def _leave(self, code: str) -> None:
        os._exit(int(code))

    def _exit(self, code: str) -> None:
        sys.exit(int(code))

    def _error(self, _: str) -> None:
        raise KeyError("no such layer")

    def _temporary(self, _: str) -> None:
        """A file that nobody deletes."""
        os.close(tempfile.mkstemp()[0])

    def _scratch(self, _: str) -> None:
        self._log(f"scratch {tempfile.gettempdir()}")

    def _print(self, text: str) -> None:
        print(text)
        print(text, file=sys.stderr)
        os.write(1, f"{text}\n".encode())
        sys.stdout.flush()

    def _read(self, _: str) -> None:
        assert sys.stdin.read() == "", "a score reads the tasks of its worker"

    def _close(self, _: str) -> None:
        """Every file but the standard ones: also those that answers go through."""
        os.closerange(3, 256)
        time.sleep(1000)

    def _write(self, text: str) -> None:
        """Text into every pipe, and then silence."""
        for number in range(3, 32):
            try:
                os.write(number, text.replace("\\n", "\n").encode())
            except OSError:
                continue
        time.sleep(1000)

    def _tensor(self, gigabytes: str) -> None:
        torch.empty(int(float(gigabytes) * 10**9), dtype=torch.uint8).fill_(1)

    def _bytes(self, gigabytes: str) -> None:
        taken = [bytearray(b"1" * 10**7) for _ in range(int(float(gigabytes) * 100))]
        assert taken

    def _shared(self, gigabytes: str) -> None:
        """Memory that no limit on private data knows of."""
        size = int(float(gigabytes) * 10**9)
        with mmap.mmap(-1, size) as memory:
            for start in range(0, size, 10**7):
                memory[start : start + 10**7] = b"1" * 10**7
            time.sleep(1000)

    def _interrupt(self, _: str) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.1)

    def _module(self, _: str) -> None:
        self._log(f"module {__file__}")

    def _threads(self, number: str) -> None:
        assert torch.get_num_threads() == int(number), "a score has one thread"


@dataclass(frozen=True)
class Unstartable:
    """Cannot be made by a worker, only by who has `allowed` it."""

    name: str

    def __post_init__(self) -> None:
        if os.environ.get("ACTING") != "allowed":
            raise RuntimeError("only where ACTING=allowed")

    def measure(self, genotype, phase, repeat, metrics):
        return []
