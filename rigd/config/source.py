"""A YAML text as plain data, with the place of every key and every value.

Scalars are read as YAML 1.2 does: `off` and `yes` are words, `1e3` is a number, `017` is seventeen; a rig has no
use for the surprises of YAML 1.1. Tags, anchors and a second document are refused, a key that is there twice too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from rigd.config.problems import Place, Problem

MAX_BYTES = 1_000_000
"""A file larger than this is something else than a config."""
MAX_DEPTH = 40
"""Mappings and lists inside each other. The deepest key of a rig lies at 3."""

Keys = tuple[str | int, ...]
"""Path of a value: section, key, ... down to it."""

_INT = re.compile(r"[-+]?[0-9][0-9_]{0,40}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9][0-9_]*(\.[0-9_]*)?)([eE][-+]?[0-9]{1,4})?")
_WORDS: dict[str, Any] = {"": None, "~": None, "null": None, "true": True, "false": False}
_NOT_FINITE = {".inf": float("inf"), "+.inf": float("inf"), "-.inf": float("-inf"), ".nan": float("nan")}


@dataclass(slots=True)
class Source:
    """What a config says, and where it says it."""

    file: str
    data: Any = None
    problems: list[Problem] = field(default_factory=list)
    values: dict[Keys, Place] = field(default_factory=dict)
    """Where each value begins."""
    keys: dict[Keys, Place] = field(default_factory=dict)
    """Where each key begins."""
    texts: dict[Keys, str] = field(default_factory=dict)
    """Each scalar as it was written."""
    overridden: set[Keys] = field(default_factory=set)
    """What came from the command line."""

    def value_place(self, path: Keys) -> Place:
        """Where the value is, or the nearest thing around it that is there."""
        while path and path not in self.values:
            path = path[:-1]
        return self.values.get(path, Place(self.file, 1, 1))

    def key_place(self, path: Keys) -> Place:
        """Where the key is, or the nearest thing around it that is there."""
        while path and path not in self.keys:
            path = path[:-1]
        return self.keys.get(path, Place(self.file, 1, 1))


def dotted(path: Keys) -> str:
    """`('rail', 'travel_um')` as `rail.travel_um`."""
    return ".".join(str(part) for part in path)


def read_file(path: Path) -> Source:
    """Read a config. Never raises: what is wrong with the file is among the problems, and then `data` is None."""
    source = Source(str(path))
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            _fail(source, f"larger than {MAX_BYTES} bytes", "give the path of a rig's config")
            return source
        text = raw.decode("utf-8-sig")
    except FileNotFoundError:
        _fail(source, "there is no such file", "give the path of a config; the folder config/ has examples")
    except IsADirectoryError:
        _fail(source, "this is a folder", "give the path of a config in it")
    except UnicodeDecodeError as error:
        _fail(source, f"not UTF-8 text (byte {error.start})", "save the file as UTF-8")
    except (OSError, ValueError) as error:
        _fail(
            source,
            f"cannot be read: {getattr(error, 'strerror', None) or error}",
            "give the path of a readable file",
        )
    else:
        read_text(source, text)
    return source


def read_text(source: Source, text: str) -> None:
    """Read YAML text into `source`. Never raises; a syntax error is one problem with its line."""
    _compose(source, text, ())
    if source.problems:
        return
    if source.data is None:
        _fail(source, "the file is empty", "start from one of the examples in config/")
    elif not isinstance(source.data, Mapping):
        place = source.value_place(())
        source.problems.append(
            Problem.at(place, "", "not a mapping of sections", "write 'rail:', 'camera:', 'limits:' ...")
        )
        source.data = None


def read_override(source: Source, text: str) -> None:
    """Lay one `section.key=value` over `source`; the value is read as YAML. Never raises."""
    text = text.encode("utf-8", "backslashreplace").decode()
    label = f"--set {text}"
    name, equals, value = text.partition("=")
    path: Keys = tuple(part.strip() for part in name.split("."))
    if not equals or not all(path):
        source.problems.append(
            Problem(
                label, "", None, None, "not of the form section.key=value", "such as rail.travel_um=50000"
            )
        )
        return
    piece = Source(label)
    _compose(piece, value, path)
    source.problems.extend(Problem(label, dotted(path), None, None, p.message, p.fix) for p in piece.problems)
    if piece.problems:
        return
    here = source.data
    for depth, part in enumerate(path[:-1], start=1):
        if here.get(part) is None:
            here[part] = {}
            source.keys[path[:depth]] = source.values[path[:depth]] = Place(label)
        here = here[part]
        if not isinstance(here, dict):
            message = f"{dotted(path[:depth])} is a single value and has no keys"
            source.problems.append(
                Problem(label, dotted(path), None, None, message, "see docs/config.md for the keys")
            )
            return
    _forget(source, path)
    here[path[-1]] = piece.data
    for known in (*piece.values, path):
        source.values[known] = source.keys[known] = Place(label)
        source.overridden.add(known)
    source.texts.update(piece.texts)


def _forget(source: Source, path: Keys) -> None:
    """Drop the places of what is about to be replaced."""
    for table in (source.values, source.keys, source.texts):
        for known in [known for known in table if known[: len(path)] == path]:
            table.pop(known)


def _fail(source: Source, message: str, fix: str) -> None:
    source.problems.append(Problem(source.file, "", None, None, message, fix))


class _Loader(yaml.SafeLoader):
    """The safe composer without what a rig has no use for."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call]
        tag = getattr(event, "tag", None)
        if isinstance(event, yaml.AliasEvent):
            raise _refused("aliases (*name) are not used here: write the value out", event)
        if tag is not None:
            raise _refused(f"tags ({tag}) are not used here: leave it away", event)
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise _refused("nested too deeply", event)
        node: yaml.Node | None = super().compose_node(parent, index)
        self.depth -= 1
        return node


def _refused(reason: str, event: yaml.Event) -> yaml.MarkedYAMLError:
    mark = event.start_mark
    assert isinstance(mark, yaml.Mark)
    return yaml.MarkedYAMLError(problem=reason, problem_mark=mark)


def _compose(source: Source, text: str, path: Keys) -> None:
    """Parse `text` as the value at `path`."""
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark is not None else (None, None)
        reason = ", ".join(part for part in (error.context, error.problem) if part)
        source.problems.append(
            Problem(source.file, "", line, column, f"not YAML: {reason}", _syntax_fix(reason))
        )
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        message = f"not YAML: the character {error.character!r}"
        if isinstance(error.character, int):
            message = f"not YAML: the character U+{error.character:04X}"
        source.problems.append(Problem(source.file, "", line, None, message, "remove it"))
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        _fail(source, f"not YAML: {error}", "see the examples in config/")
    else:
        source.data = _plain(source, node, path) if node is not None else None


def _syntax_fix(reason: str) -> str:
    if "\\t" in reason:
        return "indent with spaces, not with tabs"
    if "mapping values are not allowed" in reason:
        return "check the indentation, and quote texts that hold ': '"
    if "not used here" in reason:
        return "see the examples in config/"
    return "check brackets, quotes and indentation here and in the line before"


def _plain(source: Source, node: yaml.Node, path: Keys) -> Any:
    """The node as dict, list or scalar; its place and those of everything in it go into `source`."""
    source.values[path] = Place(source.file, node.start_mark.line + 1, node.start_mark.column + 1)
    if isinstance(node, yaml.MappingNode):
        return dict(_pairs(source, node, path))
    if isinstance(node, yaml.SequenceNode):
        return [_plain(source, child, (*path, index)) for index, child in enumerate(node.value)]
    assert isinstance(node, yaml.ScalarNode)
    if not _is_text(node.value):
        source.problems.append(
            Problem.at(
                source.values[path], dotted(path), "half a character (\\ud800 to \\udfff)", "write it whole"
            )
        )
        return ""
    source.texts[path] = node.value
    return node.value if node.style else scalar(node.value)


def _pairs(source: Source, node: yaml.MappingNode, path: Keys) -> Iterator[tuple[str, Any]]:
    for key_node, value_node in node.value:
        mark = key_node.start_mark
        place = Place(source.file, mark.line + 1, mark.column + 1)
        if not isinstance(key_node, yaml.ScalarNode):
            source.problems.append(
                Problem.at(place, dotted(path), "a key must be a word", "write 'key: value'")
            )
            continue
        key: str = key_node.value
        if not key.isprintable():
            source.problems.append(
                Problem.at(place, dotted(path), f"unprintable key {key!a}", "see docs/config.md for the keys")
            )
            continue
        if (*path, key) in source.keys:
            first = source.keys[*path, key].line
            message, fix = f"key '{key}' is there twice", f"keep one; the first is in line {first}"
            source.problems.append(Problem.at(place, dotted((*path, key)), message, fix))
            continue
        source.keys[*path, key] = place
        yield key, _plain(source, value_node, (*path, key))


def _is_text(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def scalar(text: str) -> Any:
    """A plain scalar's value: None, bool, int, float, or the text itself."""
    low = text.lower()
    if low in _WORDS:
        return _WORDS[low]
    if low in _NOT_FINITE:
        return _NOT_FINITE[low]
    if _INT.fullmatch(text):
        return int(text.replace("_", ""))
    if _FLOAT.fullmatch(text):
        return float(text.replace("_", ""))
    return text
