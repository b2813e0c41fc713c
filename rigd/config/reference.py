"""The reference of every key that a config may have, made from the declarations themselves."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from drivers import catalogue, registry
from drivers.base import Entry
from rigd.config import fields
from rigd.config.devices import KIND_OF_SECTION
from rigd.config.load import NAMED_SECTIONS, PLAIN_SECTIONS
from rigd.config.model import RigConfig
from rigd.config.panel import ROLES, Panel, PanelOptions
from rigd.config.units import shown

_KINDS = {
    **{kind: f"`{section}:`" for section, kind in KIND_OF_SECTION.items()},
    "switch": "each entry of `switches:` and of `panel.buttons:`",
}

_HEAD = """\
# Config reference

Made from the declarations in `rigd/config/model.py` and `drivers/`; write it anew with `make docs`.

A rig is one YAML file. `rigd check CONFIG` says everything that is wrong with it at once, each with file, line, column and
what would be right, and prints the resolved rig when nothing is. The files in `config/` are examples to start from.

- A key's last part is its unit: `_um` micrometres, `_s` seconds, `_hz` hertz, `_um_per_s` micrometres a second, `_mb` megabytes.
  Values are plain numbers: `travel_um: 50000`, not `50 mm`.
- Positions are measured from home and grow toward the subject.
- Scalars are read as YAML 1.2 does: `true` and `false` are the only truth values, `off` is a word, `1e3` is a number. A key that
  is there twice is an error; tags, anchors and aliases are not used.
- `--set section.key=value` lays one value over the file for one run; the value is read as YAML.
- Relative paths in a driver's options start from the folder of the config (from the current folder when given with `--set`);
  `storage.sessions` starts from the current folder.
- *required* in the column "default" marks a key without which its section is refused; `—` means that there is no value, which can also be written:
  `null`, or `None` in the descriptions.
"""


def config_reference() -> str:
    """The whole document, Markdown."""
    return "\n".join([_HEAD, *_sections(), *_drivers()]).rstrip("\n") + "\n"


def _sections() -> Iterator[str]:
    yield "## Sections\n"
    yield "| section | what it is | needed |\n| --- | --- | --- |"
    for name, field in RigConfig.model_fields.items():
        what = "required" if field.is_required() else "optional"
        yield f"| `{name}` | {_cell(fields.describe(field))} | {what} |"
    yield ""
    for name in RigConfig.model_fields:
        yield f"### {name}\n"
        if name in PLAIN_SECTIONS:
            yield f"{_doc(PLAIN_SECTIONS[name])}\n"
            yield from _table(PLAIN_SECTIONS[name])
            continue
        if name in NAMED_SECTIONS:
            yield f"A mapping: a name for each of them, and under it keys. {_doc(NAMED_SECTIONS[name])}\n"
            yield from _table(NAMED_SECTIONS[name])
            continue
        if name == "panel":
            yield from _panel()
            continue
        names = ", ".join(
            f"[`{entry.name}`](#{_anchor(entry)})" for entry in _entries(KIND_OF_SECTION.get(name, "switch"))
        )
        if name == "switches":
            yield f"A mapping: a name for each contact, and under it `driver:`, one of {names}, and that driver's options.\n"
        else:
            yield f"`driver:`, one of {names}, and that driver's options beside it.\n"


def _panel() -> Iterator[str]:
    roles = ", ".join(f"`{role}`" for role in ROLES)
    yield f"{_doc(Panel)} [What they do, and how to wire them](panel.md).\n"
    yield f"`buttons:` is a mapping: of {roles} those that there are, each with `driver:`, one of those for `switches`, and its options."
    yield "`led:` takes a driver of those for `light`, and its options.\n"
    yield from _table(PanelOptions)


def _drivers() -> Iterator[str]:
    yield "## Drivers\n"
    for kind, place in _KINDS.items():
        for entry in _entries(kind):
            yield f"### {_title(entry)}\n"
            model = registry.options_class(entry)
            yield f"{entry.summary[:1].upper()}{entry.summary[1:]}. Under {place}.\n"
            if entry.target is None:
                why = entry.why_not or "this release cannot drive it yet"
                yield f"*{why[:1].upper()}{why[1:]}.*\n"
            yield f"{_doc(model)}\n"
            yield from _table(model)


def _entries(kind: str) -> list[Entry]:
    return [entry for entry in catalogue.ENTRIES if entry.kind == kind]


def _title(entry: Entry) -> str:
    return f"{entry.kind} {entry.name}"


def _anchor(entry: Entry) -> str:
    return _title(entry).lower().replace(" ", "-")


def _table(model: type[BaseModel]) -> Iterator[str]:
    rows = list(_rows(model, ""))
    if not rows:
        yield "No options.\n"
        return
    yield "| key | type | unit | default | bounds | meaning |\n| --- | --- | --- | --- | --- | --- |"
    yield from rows
    yield ""


def _rows(model: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        unit = fields.unit_of(name, field)
        nested = fields.nested_model(field)
        default = "" if nested is not None and not field.is_required() else _default(field)
        cells = (
            f"`{prefix}{name}`",
            fields.type_name(field),
            shown(unit),
            default,
            fields.bounds(field),
            fields.describe(field),
        )
        yield "| " + " | ".join(_cell(cell) for cell in cells) + " |"
        if nested is not None:
            yield from _rows(nested, f"{prefix}{name}.")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "*required*"
    value = field.get_default(call_default_factory=True)
    if value is None:
        return "—"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, float):
        return f"`{value:.12g}`"
    if isinstance(value, tuple | list | dict):
        return "`" + (repr(list(value)) if not isinstance(value, dict) else repr(value)) + "`"
    return f"`{value}`" if str(value) else '`""`'


def _doc(model: type[BaseModel]) -> str:
    return " ".join((model.__doc__ or "").split())


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
