"""Files that are not what a command wants: a line that names the file and says what to do, never a traceback."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from uninas.cli import main

BAD = {
    "none.yaml": None,
    "folder": "",
    "bad.yaml": "a: [1,\n",
    "unknown.yaml": "schema_version: 1\nstagess: []\n",
    "binary.yaml": "\0\1",
}
"""Name and content: a file that is not there, a folder, no YAML, a key that is unknown, no text at all."""
READS = {
    "show": "show FILE",
    "cost": "cost FILE",
    "validate": "validate FILE",
    "score": "score FILE",
    "profile": "profile FILE",
    "compare": "compare coatnet FILE",
    "tidy": "tidy FILE",
    "draw": "draw FILE --out x.svg",
    "diff": "diff coatnet FILE",
    "study": "study FILE",
    "report": "report FILE",
    "search --space": "search --space FILE --out out",
    "search --start": "search --start FILE --out out",
    "search --warm-start": "search --warm-start FILE --out out",
    "rank --table": "rank --table FILE --proxy naswot --out out",
}
TRAINS = {
    "train": "train FILE --protocol tiny_digits --data-root folder",
    "train --protocol": "train coatnet --protocol FILE --data-root folder",
    "train --data-root": "train coatnet --protocol tiny_digits --data-root FILE",
    "test": "test FILE",
    "predict": "predict FILE FILE",
    "race": "race FILE --protocol tiny_digits --data-root folder",
    "tabulate --space": "tabulate --space FILE --data-root folder --out out",
    "protocol show": "protocol show FILE",
    "protocol show GENOTYPE": "protocol show imagenet FILE",
    "data check PROTOCOL": "data check FILE folder",
    "data check DIR": "data check tiny_coco FILE",
    "export-backbone": "export-backbone FILE --to mmdet --out out",
    "export-backbone --weights": "export-backbone coatnet --to mmdet --weights FILE --out out",
    "mm train": "mm train FILE",
}
"""What needs the extra `mm`."""
WRITES = {
    "draw": "draw coatnet --out FILE",
    "profile": "profile coatnet --out FILE",
    "tidy": "tidy coatnet --out FILE",
    "search": "search --iterations 1 --proxy naswot --start resnet --max-params 1M --min-params 0 --out FILE/run",
    "data make": "data make digits --out FILE",
    "demo": "demo --out FILE/demo",
}


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, content in BAD.items():
        if name == "folder":
            (tmp_path / name).mkdir()
        elif content is not None:
            (tmp_path / name).write_text(content)
    return tmp_path


def refused(words: str, name: str, capsys, monkeypatch) -> str:
    """What is said of a mistake, once it is sure that it was taken for one."""
    monkeypatch.setattr(sys, "argv", ["uninas", *words.replace("FILE", name).split()])
    with pytest.raises(SystemExit) as ended:
        main()
    told = capsys.readouterr()
    assert ended.value.code in (1, 2) and not told.out
    assert told.err.startswith(("error: ", "Error: ", "Usage: ")) and "Traceback" not in told.err
    return told.err


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("words", READS.values(), ids=READS)
def test_what_cannot_be_read(words, name, here, capsys, monkeypatch):
    assert name in refused(words, name, capsys, monkeypatch)
    assert {path.name for path in here.iterdir()} <= {*BAD, "out"}
    assert not (here / "out" / "best.yaml").exists()


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("words", TRAINS.values(), ids=TRAINS)
def test_what_training_cannot_read(words, name, here, capsys, monkeypatch):
    pytest.importorskip("mmdet")
    told = refused(words, name, capsys, monkeypatch)
    assert name in told or "folder" in told  # which of the two is looked at first
    assert {path.name for path in here.iterdir()} <= set(BAD)


@pytest.mark.parametrize("words", WRITES.values(), ids=WRITES)
def test_what_cannot_be_written(words, here, capsys, monkeypatch):
    before = (here / "bad.yaml").read_text()
    assert "bad.yaml" in refused(words, "bad.yaml", capsys, monkeypatch)
    assert (here / "bad.yaml").read_text() == before and {path.name for path in here.iterdir()} <= set(BAD)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("search --set population=[ --out out", "--set population=[: not valid YAML"),
        ("search --set foo --out out", "--set foo: write KEY=VALUE"),
        ("search --set", "Option '--set' requires an argument"),
        ("search --set foo=1 --out out", "--set: foo: unknown key"),
        ("search --min-params 4M --max-params 3M --out out", "--min-params (4.00M) is above --max-params (3.00M)"),
        ("search --seed -1 --out out", "--seed: Input should be greater than or equal to 0, got -1"),
        ("search --proxy= --out out", "no proxy is named; write one such as vkdnw_agg"),
        ("search --classes 0 --out out", "--classes: Input should be greater than or equal to 1"),
        ("rank --table none.csv --proxy naswot --input-size 32x64 --out out", "is not square"),
        ("race none --protocol tiny_digits --data-root folder --rungs 3,1", "--rungs: "),
        (
            "race none --protocol tiny_digits --data-root folder --rungs 1,a",
            "--rungs[1]: Input should be a valid integer",
        ),
        ("data make digits folder --out out", "one folder is written"),
    ],
)
def test_options_that_do_not_fit(words, told, here, capsys, monkeypatch):
    pytest.importorskip("omegaconf")
    assert told in refused(words, "", capsys, monkeypatch)


def test_an_empty_file_holds_nothing(here, capsys, monkeypatch):
    (here / "empty.yaml").touch()
    told = refused("cost FILE", "empty.yaml", capsys, monkeypatch)
    assert "empty.yaml: wants a mapping with graphs, head, name, schema_version, stages, stem; got nothing" in told
