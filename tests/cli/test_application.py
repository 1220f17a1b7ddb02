"""What every command does: old spellings, JSON alone, what is meant by a mistyped word, completion."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
import typer
from typer.testing import CliRunner

from uninas.cli import app, main
from uninas.cli.application import Application, print_json, spelled_anew
from uninas.cli.common import run

ROOT = Path(__file__).resolve().parents[2]


class Done(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def uninas(capsys, monkeypatch):
    """`uninas WORDS` in this process, as the command does it."""

    def call(words: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["uninas", *words.split()])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        return Done(int(ended.value.code or 0), *capsys.readouterr())

    return call


@pytest.mark.parametrize(
    ("words", "anew"),
    [
        ("a.yaml --num-classes 7 --json", "a.yaml --classes 7 --json"),
        ("--num-classes=7 a.yaml", "--classes=7 a.yaml"),
        ("--genotype a.yaml --classes 7", "--classes 7 a.yaml"),
        ("--genotype=a.yaml --classes 7", "--classes 7 a.yaml"),
        ("--genotype a.yaml -- --num-classes", "a.yaml -- --num-classes"),
        ("--work-dir runs", "--work-dir runs"),  # this command has no --out
        ("--genotype", "--genotype"),
    ],
)
def test_old_spellings(words, anew):
    assert spelled_anew(words.split(), {"--classes", "--json", "genotype"}) == anew.split()


def test_an_option_that_is_there_keeps_its_name():
    assert spelled_anew(["--size", "3"], {"--size", "--input-size"}) == ["--size", "3"]


def test_old_spellings_reach_commands(uninas):
    old = uninas("cost --genotype coatnet --num-classes 0 --json")
    assert old.code == 0 and old == uninas("cost coatnet --classes 0 --json")
    told = uninas("cost --help").out
    assert "--classes" in told and "--num-classes" not in told and "--genotype" not in told


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(28, "No space left on device"), "No space left on device"),
        (OSError(28, "No space left on device", "a/b.txt"), "a/b.txt: No space left on device"),
        (OSError("the disk is gone"), "the disk is gone"),
        (OSError(), "OSError"),
    ],
)
def test_what_the_system_refuses_is_a_line(error, line, capsys):
    small = typer.Typer(pretty_exceptions_enable=False)

    @small.command()
    def one() -> None:
        raise error

    with pytest.raises(SystemExit) as ended:
        run(small, [])
    assert ended.value.code == 1 and capsys.readouterr().err == f"error: {line}\n"


def test_json_is_alone_on_standard_output():
    small = Application()

    @small.command("one")
    def one(as_json: bool = typer.Option(False, "--json")) -> None:
        print("by somebody")
        typer.echo("by us")
        print_json({"answer": [1, 2]})
        print("afterwards")

    @small.command("two")
    def two() -> None: ...

    plain, found = (CliRunner().invoke(small, words) for words in (["one"], ["one", "--json"]))
    assert json.loads(found.stdout) == {"answer": [1, 2]}
    assert found.stderr.split("\n") == ["by somebody", "by us", "afterwards", ""]
    assert "by somebody" in plain.stdout and "answer" in plain.stdout and not plain.stderr


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("shwo coatnet", "'show'"),
        ("data mke digits", "'make'"),
        ("protocol shwo imagenet", "'show'"),
        ("cost coatnet --jsn", "--json"),
        ("search --stratgy walk", "--strategy"),
        ("cost coatnett", "'coatnet'"),
        ("diff coatnet resnett", "'resnet'"),
        ("train coatnett --protocol tiny_digits --data-root x", "'coatnet'"),
        ("train coatnet --protocol tiny_digit --data-root x", "'tiny_digits'"),
        ("protocol show imagenett", "'imagenet'"),
        ("data check tiny_coc x", "'tiny_coco'"),
        ("data make digit", "'digits'"),
        ("search --space uninass", "'uninas'"),
        ("search --strategy evolutoin", "'evolution'"),
        ("search --proxy naswott", "'naswot'"),
        ("score coatnet --proxy naswott", "'naswot'"),
        ("export-backbone coatnet --to mmde --out x", "'mmdet'"),
        ("race nowhere --protocol tiny_digit --data-root x", "'tiny_digits'"),
    ],
)
def test_what_was_meant(words, meant, uninas):
    if words.split()[0] in ("train", "protocol", "data", "export-backbone", "race"):
        pytest.importorskip("mmengine")
    done = uninas(words)
    assert done.code == 2 and not done.out
    assert f"did you mean {meant}?" in done.err.replace("Did", "did")


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("protocol show ima", {"imagenet"}),
        ("train coatnet --protocol tiny_d", {"tiny_digits"}),
        ("search --space uninas_", {"uninas_tiny"}),
        ("search --proxy az", {"az_nas"}),
        ("score coatnet --proxy naswot,jac", {"naswot,jacov"}),
        ("search --strategy par", {"pareto"}),
        ("cost coat", {"coatnet"}),
        ("cost spaces/uninas_t", {"spaces/uninas_tiny.yaml"}),
        ("data make tiny-c", {"tiny-coco"}),
        ("val", {"validate"}),
        ("cost coatnet --inp", {"--input-size"}),
    ],
)
def test_completion(words, completed):
    typed = {"COMP_WORDS": f"uninas {words}", "COMP_CWORD": str(len(words.split()))}
    done = CliRunner().invoke(app, [], prog_name="uninas", env={"_UNINAS_COMPLETE": "complete_bash", **typed})
    assert set(done.stdout.split()) >= completed


def test_python_m_uninas():
    words = [sys.executable, "-m", "uninas", "cost", "coatnet", "--json"]
    done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT)
    assert json.loads(done.stdout)["params"] == 26869652


def test_the_lists_of_commands_cut_no_sentence(uninas):
    for words in ("--help", "data --help", "protocol --help", "mm --help"):
        _, listed = uninas(words).out.split("Commands:\n")
        assert "..." not in listed and len(listed.splitlines()) >= 2, listed


def test_help_names_arguments_as_they_are_typed(uninas):
    for words, argument in (("report", "RUN"), ("study", "DIR"), ("cost", "GENOTYPE")):
        told = uninas(f"{words} --help").out
        assert f"[OPTIONS] {argument}" in told and f"\n  {argument}  " in told, told
        assert "<" not in told and "{" not in told


def test_defaults_are_shown_as_they_are_typed(uninas):
    told = " ".join(uninas("tabulate --help").out.split())
    assert "[default: 300000,600000,1200000]" in told
    assert "[default: 1,3,9]" in " ".join(uninas("race --help").out.split())
