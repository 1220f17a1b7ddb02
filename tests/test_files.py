"""Files that are written completely or not at all."""

import pytest

from uninas.errors import StudyError
from uninas.files import replacing, write_bytes, write_text


def test_what_was_written_is_there_when_the_block_ends(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("old")
    with replacing(path) as temporary:
        assert temporary.parent == tmp_path and temporary.suffix == ".csv"
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["table.csv"] and path.read_text() == "new"


def test_a_block_that_raises_changes_nothing(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("old")
    with pytest.raises(KeyError), replacing(path) as temporary:
        temporary.write_text("half")
        raise KeyError
    assert [file.name for file in tmp_path.iterdir()] == ["table.csv"] and path.read_text() == "old"


def test_where_nothing_can_be_written_the_error_is_of_the_block(tmp_path):
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "missing" / "x.csv") as temporary:
        temporary.write_text("new")


def test_a_block_that_writes_nothing_is_an_error(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("old")
    with pytest.raises(FileNotFoundError), replacing(path):
        pass
    assert path.read_text() == "old"


def test_what_goes_wrong_is_raised_as_the_error_that_was_given(tmp_path):
    path = tmp_path / "missing" / "x.csv"
    with pytest.raises(StudyError, match=f"{path}: cannot write: No such file or directory"):
        write_text(path, "new", StudyError)
    (tmp_path / "folder").mkdir()
    with pytest.raises(StudyError, match="folder: cannot write: Is a directory"):
        write_bytes(tmp_path / "folder", b"new", StudyError)
    assert [file.name for file in tmp_path.iterdir()] == ["folder"]


def test_errors_of_other_kinds_pass_as_they_are(tmp_path):
    with pytest.raises(KeyError), replacing(tmp_path / "x.csv", StudyError):
        raise KeyError


def test_text_is_utf_8(tmp_path):
    write_text(tmp_path / "x.txt", "±", StudyError)
    assert (tmp_path / "x.txt").read_bytes() == b"\xc2\xb1"
