import io
import re

from rich.console import Console

from uninas.cli.progress import ProgressLog


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
