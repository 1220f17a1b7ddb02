"""A worker process: reads a task from each line of its standard input, writes measurements to each line of its output.

It ends when its input ends, in the middle of a score too, and so with the search that started it, however that ended.
"""

from __future__ import annotations

import os
import resource
import shutil
import signal
import sys
from queue import SimpleQueue
from threading import Thread
from typing import TextIO

import psutil
import torch

from .attempt import measure
from .wire import measurements_to_json, scorer_from_json, task_from_json


def main() -> None:
    """Runs the worker; the arguments are a scorer as JSON, bytes of memory for a task (0 for no limit), and folders
    of temporary files, which go with the worker where the search is no more to delete them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the search, which then ends this process
    lines, answers = _own_pipes()
    torch.set_num_threads(1)
    try:
        scorer = scorer_from_json(sys.argv[1])
        _prepare(getattr(scorer, "device", "cpu"), int(sys.argv[2]))
    except Exception as error:  # of a scorer's module, which is any code; the search says it
        _say(answers, f"cannot start: {type(error).__name__}: {error}".replace("\n", " "))
        return
    waiting: SimpleQueue[str] = SimpleQueue()
    Thread(target=_listen, args=(lines, waiting, sys.argv[3:]), daemon=True).start()
    _say(answers, "ready")
    while True:
        _say(answers, measurements_to_json(measure(scorer, task_from_json(waiting.get()))))


def _own_pipes() -> tuple[TextIO, TextIO]:
    """The two ends of what the search reads and writes. Whatever a library prints goes to standard error instead, and
    what it reads is empty."""
    lines, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return lines, answers


def _prepare(device: str, limit: int) -> None:
    """Makes allocations fail that exceed `limit` bytes beyond what is allocated now, instead of filling the machine.

    Linux only: elsewhere memory is watched from outside alone, and so is that of a process that drives a GPU, whose
    libraries reserve addresses that they never use.
    """
    torch.ones(1, device=device)  # what an idle worker has includes the libraries of its device
    if limit and sys.platform == "linux" and torch.device(device).type == "cpu":
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        most = psutil.Process().memory_info().data + limit
        resource.setrlimit(resource.RLIMIT_DATA, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def _listen(lines: TextIO, waiting: SimpleQueue[str], temporary: list[str]) -> None:
    for line in lines:
        waiting.put(line)
    for folder in temporary:
        shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)  # the search is gone, and nobody waits for what is being computed


def _say(answers: TextIO, line: str) -> None:
    answers.write(line + "\n")
    answers.flush()


if __name__ == "__main__":
    main()
