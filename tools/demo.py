"""The whole way on small data, on a CPU: search, a race, training on digits, Mask R-CNN and UperNet in stock mmdet and
mmseg.

    python tools/demo.py [DIR]

Every step is a command that can be typed by hand; the page DIR/README.md at the end says what was made where.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

import uninas
from uninas.cli import run
from uninas.engine.errors import EngineError

TOOLS = Path(__file__).resolve().parent
WIDTHS, DEPTHS = (32, 48, 96, 128), (1, 1, 2, 1)
"""Of the CoAtNet that the search starts from: 0.7 M parameters."""

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


class Demo:
    """Runs commands one after another and remembers them for the final page."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows: list[tuple[str, str, float]] = []

    def step(self, title: str, made: Path, *words: object) -> None:
        """Run a command whose output goes to a log; skip it where its result is there from an earlier run."""
        if made.exists():
            typer.echo(f"- {title}: there already ({made})")
            self.rows.append((title, str(made), 0.0))
            return
        command = [str(word) for word in words]
        typer.echo(f"- {title}\n  {shlex.join(_short(word) for word in command)}")
        log = self.folder / "logs" / f"{len(self.rows) + 1}-{title.split()[0].lower()}.log"
        log.parent.mkdir(exist_ok=True)
        began = time.perf_counter()
        with log.open("w") as out:
            done = subprocess.run(command, stdout=out, stderr=subprocess.STDOUT, env=_environment())
        if done.returncode:
            tail = "\n".join(log.read_text().splitlines()[-15:])
            raise EngineError(f"{title} failed, see {log}:\n{tail}")
        self.rows.append((title, str(made), time.perf_counter() - began))

    def page(self) -> str:
        """What was made where."""
        lines = [f"{title:42} {seconds:6.0f} s  {made}" for title, made, seconds in self.rows]
        return "\n".join(["what was made where", "", *lines, "", f"logs: {self.folder / 'logs'}"])


@app.command()
def demo(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where everything goes; run again to continue.")] = Path(
        "runs/demo"
    ),
) -> None:
    """Search (short), race the best, train on digits, export, a few iterations in mmdet and mmseg. Ten minutes."""
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    start = folder / "start.yaml"
    uninas.blocks.network("coatnet", widths=WIDTHS, depths=DEPTHS, input_size=32).save(start)
    show = Demo(folder)
    python, cli = sys.executable, Path(sys.executable).with_name("uninas")

    study = folder / "search"
    limits = (
        "--max-params",
        "1M",
        "--min-params",
        "0",
        "--iterations",
        "20",
        "--input-size",
        "32",
        "--proxy-size",
        "32",
    )
    show.step("Search", study / "best.yaml", cli, "search", "--start", start, *limits, "--out", study, "--force")
    best = study / "best.yaml"

    for kind in ("digits", "tiny-coco", "tiny-ade"):
        show.step(f"Data: {kind}", folder / kind, cli, "data", "make", kind, folder / kind)

    race = (cli, "race", study, "--protocol", "tiny_digits", "--data-root", folder / "digits")
    show.step("Race of the best", study / "race.json", *race, "--top", "3", "--rungs", "1,2", "--repeats", "1")

    digits = folder / "digits-run"
    train = (python, TOOLS / "train.py", "--protocol", "tiny_digits", "--genotype", best, "--resume")
    where = ("--data-root", folder / "digits", "--work-dir", digits)
    show.step("Training on digits", digits / "epoch_6.pth", *train, *where, "--set", "schedule.epochs=6")

    for package, kind, name in (("mmdet", "coco", "Mask R-CNN"), ("mmseg", "ade", "UperNet")):
        out = folder / package
        export = (python, TOOLS / "export_backbone.py", best, "--to", package, "--out", out)
        settings = (
            "--weights",
            digits / "epoch_6.pth",
            "--protocol",
            f"tiny_{kind}",
            "--data-root",
            folder / f"tiny-{kind}",
        )
        short = ("--set", "schedule.epochs=2", "schedule.kind=cosine", "schedule.milestones=[]", "val_every=2")
        show.step(f"Export to {package}", out, *export, *settings, *short)
        config = next(out.glob("*.py"))
        arguments = (config, "--work-dir", out / "work")
        show.step(f"{name} with stock {package}", out / "work" / "epoch_2.pth", cli, "mm", "train", *arguments)

    page = show.page()
    (folder / "README.md").write_text(f"```\n{page}\n```\n")
    typer.echo(f"\n{page}")


def _short(word: str) -> str:
    """A command is easier to read without the folder of the environment."""
    return Path(word).name if word.startswith(str(Path(sys.executable).parent)) else word


def _environment() -> dict[str, str]:
    # Spinning threads beside another busy process cost several times what they bring.
    return {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", **os.environ}


if __name__ == "__main__":
    run(app)
