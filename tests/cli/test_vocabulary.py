"""Every command, those that will be added too: the same things have the same names, and are explained alike."""

from __future__ import annotations

import re
from typing import Any

import pytest
from typer import Context

from uninas.cli.application import PLACED, RENAMED, Command
from uninas.cli.common import MEANING

from .walk import commands

OF_OTHERS = {"mm train", "mm test"}
"""What follows them belongs to mmdet's and mmseg's own tools."""
INPUTS = {"--benchmark", "--data-root", "--images", "--pretrained", "--table", "--trained", "--warm-start", "--weights"}
"""Options that name files and folders which are read. One that is written is `--out`, in every command."""
ALIASES = {"protocol_name": "protocol", "name": "protocol", "genotypes": "genotype", "other": "genotype"}
"""Parameters under another name in code."""


OURS = [pytest.param(command, id=words) for words, command in commands() if words not in OF_OTHERS]


def is_argument(param: Any) -> bool:
    return param.param_type_name == "argument"


def subject(param: Any) -> str:
    """The key of MEANING that a parameter is about, or its own name."""
    name = param.name if is_argument(param) else max(param.opts, key=len)[2:].replace("-", "_")
    name = "as_json" if name == "json" else name
    return ALIASES.get(name, name)


def taken(option: Any, command: Any) -> str:
    """The placeholder of an option's value in the help, such as DIR; empty for a flag."""
    shown, _ = option.get_help_record(Context(command))
    return "" if "--no-" in shown else shown.partition(" ")[2]


def test_there_are_commands():
    assert {"show", "search", "rank", "data make", "protocol show", "mm train"} <= {words for words, _ in commands()}


@pytest.mark.parametrize("command", OURS)
def test_a_command_follows_the_rules(command):
    assert isinstance(command, Command), "make it with Application.command: old spellings and --json depend on it"
    assert command.help and command.help.strip().endswith((".", ".)")), "a command says what it does"
    options = [name for param in command.params if not is_argument(param) for name in param.opts]
    assert "--json" in options
    assert not set(options) & set(RENAMED), "the new name alone is an option; the old one is understood"
    for param in command.params:
        if subject(param) == "genotype":
            assert is_argument(param), "a genotype is an argument"
        if not is_argument(param):
            assert all(name.startswith("--") for name in param.opts), "options have one name, and it is a long one"
            assert param.help, f"{param.opts[0]} is not explained"
            assert not taken(param, command) or param.metavar, f"{param.opts[0]}: name what it takes, by a metavar"
            of_path = re.search("FILE|DIR|PATH", taken(param, command))
            assert not of_path or {"--out", *INPUTS} & set(param.opts), f"{param.opts[0]}: what is written is --out"


@pytest.mark.parametrize("command", OURS)
def test_shared_words_mean_the_same(command):
    for param in command.params:
        told = MEANING.get(subject(param))
        if told is not None and not param.hidden:
            assert param.help.startswith(told), f"{param.name}: begin with `meaning({subject(param)!r})`"


def test_what_is_hidden_is_not_in_the_usage():
    (make,) = (command for words, command in commands() if words == "data make")
    assert any(param.hidden and is_argument(param) for param in make.params)
    assert "KIND" in make.get_usage(Context(make)) and "folder" not in make.get_usage(Context(make)).lower()


def test_shared_words_take_the_same():
    """One placeholder for one name."""
    shown: dict[str, set[str]] = {}
    for words, command in commands():
        for param in command.params:
            if words not in OF_OTHERS and not is_argument(param) and subject(param) in MEANING:
                shown.setdefault(subject(param), set()).add(taken(param, command))
    assert {name: found for name, found in shown.items() if len(found) > 1} == {}
    assert set(shown) >= {"input_size", "batch", "classes", "device", "threads", "workers", "seed", "protocol"}


def test_every_old_spelling_is_one_of_a_command():
    options = {name for _, command in commands() for param in command.params for name in param.opts}
    assert set(RENAMED.values()) <= options and not set(RENAMED) & options
    assert set(PLACED.values()) <= {param.name for _, command in commands() for param in command.params}
