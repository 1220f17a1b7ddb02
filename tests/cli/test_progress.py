import io
import re
import threading
import time

import pytest
from rich.console import Console

from uninas.cli.progress import ProgressLog, waiting


def lines(times_and_counts, total=100) -> list[str]:
    """What is printed when `count` are done at `time`, without the time of day."""
    out, now = io.StringIO(), [0.0]
    with ProgressLog(Console(file=out), "scoring", clock=lambda: now[0]) as log:
        for now[0], count in times_and_counts:
            log.update(count, total)
    found = out.getvalue().splitlines()
    assert all(re.match(r"\d\d:\d\d:\d\d scoring: ", line) for line in found)
    return [line.split(" ", 2)[2] for line in found]


def test_a_line_a_minute_where_there_is_no_terminal():
    found = lines([(0, 10), (30, 11), (59, 12), (61, 13), (90, 14), (122, 15)])
    assert found == ["10/100", "13/100, 177 an hour, 29 min left", "15/100, 148 an hour, 35 min left"]


def test_the_end_is_always_said():
    assert lines([(0, 98), (1, 99), (2, 100)]) == ["98/100", "100/100, 3600 an hour"]
    assert lines([(0, 100)]) == ["100/100"]


def test_a_terminal_has_a_bar_and_no_lines():
    out = io.StringIO()
    with ProgressLog(Console(file=out, force_terminal=True, width=100), "scoring") as log:
        log.update(0, 10)
        log.update(5, 10)
    assert "5/10" in out.getvalue() and "an hour" not in out.getvalue()


def test_what_changes_begins_anew_and_notes_are_told():
    out, now = io.StringIO(), [0.0]
    with ProgressLog(Console(file=out), "training", clock=lambda: now[0]) as log:
        log.update(0, 4, "round 1")
        log.update(0, 2, "round 2")
        now[0] = 61
        log.update(1, 2, note=", 1 failed")
    found = [line.split(" ", 1)[1] for line in out.getvalue().splitlines()]
    assert found == ["round 1: 0/4", "round 2: 0/2", "round 2: 1/2, 59 an hour, 1 min left, 1 failed"]


def test_waiting_tells_that_it_waits_and_stops_with_what_it_waits_for():
    out, before = io.StringIO(), set(threading.enumerate())
    with pytest.raises(KeyError), waiting(Console(file=out), "tidying", interval=0.01):
        while out.getvalue().count("\n") < 2:
            time.sleep(0.01)
        raise KeyError
    assert re.match(r"\d\d:\d\d:\d\d tidying: \d+ s\n", out.getvalue()) and set(threading.enumerate()) <= before


def test_what_is_done_at_once_is_not_waited_for():
    out = io.StringIO()
    with waiting(Console(file=out), "tidying"):
        pass
    assert not out.getvalue()


def test_closer_looks_after_the_end_are_told_once_a_minute():
    assert lines([(0, 99), (1, 100), (2, 100), (3, 100), (70, 100)]) == [
        "99/100",
        "100/100, 3600 an hour",
        "100/100, 51 an hour",
    ]
