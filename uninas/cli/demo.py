"""`uninas demo`: the whole way on small data, as commands that can be typed by hand."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import UninasError
from .common import JsonOption, err, print_json
from .progress import waiting

WIDTHS, DEPTHS = (32, 48, 96, 128), (1, 1, 2, 1)
"""Of the CoAtNet that the search starts from: 0.7 M parameters."""
LIMITS = "--max-params 1M --min-params 0 --iterations 20 --input-size 32 --proxy-size 32"
SHORT = "--set schedule.epochs=2 schedule.kind=cosine schedule.milestones=[] val_every=2"


class DemoError(UninasError):
    """A step that failed."""


class Steps:
    """Runs commands one after another and remembers them for the final page."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows: list[dict[str, Any]] = []

    def run(self, title: str, made: Path, *words: object) -> None:
        """Runs `uninas WORDS` with its output in a log; skips it where its result is there from an earlier run.

        Raises:
            DemoError: it failed; the message has the end of its log.
        """
        command = [word for part in words for word in (part.split() if isinstance(part, str) else [str(part)])]
        row = {"title": title, "command": shlex.join(["uninas", *command]), "made": str(made), "seconds": 0.0}
        if made.exists():
            _say(f"- {title}: there already ({_from_here(made)})")
        else:
            _say(f"- {title}\n  {_from_here(row['command'])}")
            began = time.monotonic()
            self._run(title, command)
            row["seconds"] = round(time.monotonic() - began, 1)
        self.rows.append(row)

    def _run(self, title: str, command: list[str]) -> None:
        log = self.folder / "logs" / f"{len(self.rows) + 1}-{title.split()[0].lower().strip(':')}.log"
        log.parent.mkdir(exist_ok=True)
        words = [sys.executable, "-m", "uninas", *command]
        with log.open("w") as output, waiting(err, title):
            done = subprocess.run(words, stdout=output, stderr=subprocess.STDOUT, env=_environment())
        if done.returncode:
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
            raise DemoError(f"{title} failed, see {log}:\n{tail}")

    def page(self) -> str:
        """What was made where."""
        lines = [f"{row['title']:42} {row['seconds']:6.0f} s  {_from_here(row['made'])}" for row in self.rows]
        return "\n".join(["what was made where", "", *lines, "", f"logs: {_from_here(self.folder / 'logs')}"])


def demo(
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Where all goes; default: runs/demo.")] = None,
    folder: Annotated[Path | None, typer.Argument(hidden=True)] = None,
    as_json: JsonOption = False,
) -> None:
    """Goes the whole way on small data and a CPU: search, race, training on digits, Mask R-CNN and UperNet.

    Every step is a command that is printed, to be typed by hand. Takes about ten minutes; interrupted, the same command
    goes on.
    """
    from ..blocks import network

    folder = (out or folder or Path("runs", "demo")).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    start, study, digits = folder / "start.yaml", folder / "search", folder / "digits-run"
    network("coatnet", widths=WIDTHS, depths=DEPTHS, input_size=32).save(start)
    steps, best, weights = Steps(folder), study / "best.yaml", digits / "epoch_6.pth"

    steps.run("Search", best, "search --start", start, LIMITS, "--out", study, "--force")
    for kind in ("digits", "tiny-coco", "tiny-ade"):
        steps.run(f"Data: {kind}", folder / kind, "data make", kind, "--out", folder / kind)
    on_digits = ("--protocol tiny_digits --data-root", folder / "digits")
    steps.run("Race of the best", study / "race.json", "race", study, *on_digits, "--top 3 --rungs 1,2 --repeats 1")
    training = ("train", best, *on_digits, "--out", digits, "--resume --set schedule.epochs=6")
    steps.run("Training on digits", weights, *training)
    for package, data, name in (("mmdet", "coco", "Mask R-CNN"), ("mmseg", "ade", "UperNet")):
        exported = folder / package
        export = ("export-backbone", best, "--to", package, "--out", exported, "--weights", weights)
        protocol = (f"--protocol tiny_{data} --data-root", folder / f"tiny-{data}", SHORT)
        steps.run(f"Export to {package}", exported, *export, *protocol)
        config, work = next(exported.glob("*.py")), exported / "work"
        steps.run(f"{name} with stock {package}", work / "epoch_2.pth", "mm train", config, "--work-dir", work)

    (folder / "README.md").write_text(f"```\n{steps.page()}\n```\n")
    if as_json:
        print_json({"out": str(folder), "steps": steps.rows})
    else:
        typer.echo(f"\n{steps.page()}")


def _from_here(text: object) -> str:
    """With paths as they are typed where the demo runs."""
    return str(text).replace(f"{Path.cwd()}{os.sep}", "")


def _say(line: str) -> None:
    err.print(line, markup=False, highlight=False, soft_wrap=True)


def _environment() -> dict[str, str]:
    # Spinning threads beside another busy process cost several times what they bring.
    return {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", **os.environ}
