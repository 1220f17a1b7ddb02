"""YAML and JSON as all files of uninas are read and written: genotypes, spaces, protocols.

Stricter than YAML in one way, and friendlier in another: a key that is written twice in a mapping is an error (the
first would be lost without a word), and 1e-6 is a number (YAML 1.1 takes it for text unless it is written 1.0e-6).
"""

from __future__ import annotations

import json
import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import yaml

from .errors import ResourceError


def is_json(path: Path) -> bool:
    """Whether a file's name says that it is JSON; any other file is YAML, which nearly all JSON is too."""
    return path.suffix.lower() == ".json"


def read(path: Path) -> Any:
    """The data of a YAML or JSON file.

    Raises:
        ResourceError: the file cannot be read, or is not valid; the message has the line, but not the file.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as problem:  # ValueError: no UTF-8, or a name that no file can have
        raise ResourceError(f"cannot read: {getattr(problem, 'strerror', None) or problem}") from None
    return parse(text, is_json(path))


def parse(text: str, is_json: bool = False) -> Any:
    """The data that a text holds. Raises ResourceError, with line and column."""
    try:
        return json.loads(text, object_pairs_hook=_unique_pairs) if is_json else _parse_yaml(text)
    except yaml.YAMLError as problem:
        mark = getattr(problem, "problem_mark", None)
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ResourceError(f"not valid YAML: {where}{getattr(problem, 'problem', problem)}") from None
    except Exception as problem:  # json's own, and whatever PyYAML lets through for scalars such as 2024-99-99
        raise ResourceError(f"not valid {'JSON' if is_json else 'YAML'}: {problem}") from None


def dump(data: Any) -> str:
    """YAML text with flat mappings on one line, keys in their order, and no anchors."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, default_flow_style=None, width=120)


def _parse_yaml(text: str) -> Any:
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        _check_unique_keys(node)
        return None if node is None else loader.construct_document(node)
    finally:
        loader.dispose()


def _unique_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice!r} is written twice in one mapping")
    return found


def _check_unique_keys(root: yaml.Node | None) -> None:
    frontier, seen = [root], set()
    while frontier:
        node = frontier.pop()
        if id(node) in seen or not isinstance(node, yaml.CollectionNode):
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            frontier += node.value
            continue
        keys = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                if (key.tag, key.value) in keys:
                    problem = f"the key {key.value!r} is written twice in one mapping"
                    raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
                keys.add((key.tag, key.value))
            frontier.append(value)


_SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_SafeLoader):
    """Safe YAML, in which 1e-5 is a number."""


class _Dumper(yaml.SafeDumper):
    """Safe YAML without anchors, in which fractions are text."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


for _side in (_Loader, _Dumper):
    _side.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(r"[-+]?\d+[eE][-+]?\d+$"), list("-+0123456789"))
_Dumper.add_representer(Fraction, lambda dumper, value: dumper.represent_str(str(value)))
