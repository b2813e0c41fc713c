"""The tables of `docs/mqtt.md`, made from the contract. Pure.

Only the documents need this; nothing that runs imports it.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import BaseModel

from rigd.messages import reports, topics
from rigd.messages.base import MAX_PAYLOAD_BYTES, ErrorCode, Inward, Outward
from rigd.messages.contract import PUBLISHED
from rigd.messages.events import EVENTS, Event
from rigd.messages.schemas import Schema, schemas
from rigd.messages.verbs import SETTINGS, VERBS, Request, SettingsParams, Verb

_RETAINED: tuple[type[Outward], ...] = (
    reports.State,
    reports.Info,
    reports.Settings,
    reports.Birth,
    reports.Health,
)
_MOMENTARY: tuple[type[Outward], ...] = (reports.Frame, reports.Summary, reports.PreviewMeta)


def contract_tables() -> str:
    """All tables, Markdown, from the first heading on."""
    return "\n".join([*_topics(), *_commands(), *_settings(), *_events(), *_messages(), *_errors()]) + "\n"


def _topics() -> Iterator[str]:
    yield "## Topics\n"
    yield "Below `<base>/<rig>/`. Published by the rig:\n"
    rows = []
    for channel in PUBLISHED:
        carries = channel.carries if isinstance(channel.carries, str) else channel.carries.__name__
        kept = "yes" if channel.retained else "no"
        rows.append((f"`{_angled(channel.topic)}`", carries, str(channel.qos), kept, channel.summary))
    yield from _table(("topic", "payload", "QoS", "retained", "what"), rows)
    yield "Taken by the rig; publish at QoS 1, never retained:\n"
    yield from _table(
        ("topic", "payload"),
        [
            ("`request/<verb>`", f"a `Request`, or a plain value; at most {MAX_PAYLOAD_BYTES} bytes"),
            (
                "`set/<setting>`",
                "a plain value, empty to go back to the config's; or a `Request` with `value`",
            ),
            (f"`{topics.ESTOP}`", "anything"),
        ],
    )


def _commands() -> Iterator[str]:
    yield "## Commands\n"
    yield "A `Request`; every key may be left away:\n"
    yield from _fields(Request)
    yield "Answered by a `Reply`:\n"
    yield from _fields(reports.Reply)
    yield (
        "*long*: answered `accepted`, and over with `event/action_finished`, which has the data of `capture.test`. *moves*: the rail may move. *safe*: needs no lease, and is "
        "never refused for too many commands at once. *reads*: changes nothing, needs no lease.\n"
    )
    rows = [
        (
            f"`{verb.name}`",
            verb.summary,
            ", ".join(f"`{name}`" for name in verb.params.model_fields),
            f"`{verb.plain}`" if verb.plain else "",
            f"[{verb.data.__name__}](#{verb.data.__name__.lower()})" if verb.data else "",
            ", ".join(_kinds(verb)),
        )
        for verb in VERBS.values()
    ]
    yield from _table(("verb", "what", "params", "plain value", "`data` of the answer", "kind"), rows)
    for params in dict.fromkeys(verb.params for verb in VERBS.values()):
        if params.model_fields:
            verbs = [f"{topics.REQUEST}{verb.name}" for verb in VERBS.values() if verb.params is params]
            yield f"### {', '.join(verbs)}\n"
            yield f"{_doc(params)}\n"
            yield from _params(params)


def _params(params: type[Inward]) -> Iterator[str]:
    known = params.__base__
    if known is None or known is Inward or not issubclass(known, Inward):
        yield from _fields(params)
        return
    verb = next(verb.name for verb in VERBS.values() if verb.params is known)
    yield f"As `{verb}`, and:\n"
    yield from _fields(params, without=tuple(known.model_fields))


def _kinds(verb: Verb) -> Iterator[str]:
    for name, so in (
        ("long", verb.long),
        ("moves", verb.moves),
        ("safe", verb.always),
        ("reads", not verb.acts),
    ):
        if so:
            yield name


def _settings() -> Iterator[str]:
    yield "## What can be set\n"
    yield "On `set/<setting>`, or several at once with the verb `settings`. They are kept over a restart.\n"
    own = schemas()[SettingsParams.__name__]["properties"]
    rows = [(f"`{name}`", _kind(own[name], null=False), _meaning(own[name])) for name in SETTINGS]
    yield from _table(("setting", "value", "meaning"), rows)


def _events() -> Iterator[str]:
    yield "## Events\n"
    common = ", ".join(f"`{name}`" for name in Event.model_fields)
    yield f"On `event/<kind>`, not retained. All have {common}.\n"
    rows = []
    for kind, model in EVENTS.items():
        own = [name for name in model.model_fields if name not in Event.model_fields]
        rows.append((f"`{kind}`", _doc(model), ", ".join(f"`{name}`" for name in own)))
    yield from _table(("kind", "when", "with"), rows)


def _messages() -> Iterator[str]:
    yield "## Messages\n"
    answers = [verb.data for verb in VERBS.values() if verb.data is not None]
    for model in dict.fromkeys((*_RETAINED, *_MOMENTARY, *answers)):
        yield f"### {model.__name__}\n"
        yield f"{_doc(model)}\n"
        yield from _fields(model)


def _errors() -> Iterator[str]:
    yield "## Error codes\n"
    docs = _member_docs(ErrorCode)
    rows = [
        (f"`{code.value}`", docs.get(code.name, f"{code.value.capitalize().replace('_', ' ')}."))
        for code in ErrorCode
    ]
    yield from _table(("code", "meaning"), rows)


def _fields(model: type[BaseModel], without: tuple[str, ...] = ()) -> Iterator[str]:
    # A parameter that is null is one that is left away: no need to say so of each.
    null = not issubclass(model, Inward)
    schema = schemas()[model.__name__]
    yield from _table(("key", "value", "meaning"), list(_rows(schema, "", null=null, without=without)))


def _rows(
    schema: Schema, prefix: str, *, null: bool, without: tuple[str, ...] = ()
) -> Iterator[tuple[str, str, str]]:
    for name, field in schema.get("properties", {}).items():
        if name in without:
            continue
        inner, mark = _inner(field)
        yield (
            f"`{prefix}{name}`",
            _kind(field, null=null),
            _meaning(field) or (inner or {}).get("description", ""),
        )
        if inner is not None:
            yield from _rows(inner, f"{prefix}{name}{mark}.", null=null)


def _meaning(field: Schema) -> str:
    text = str(field.get("description", ""))
    default = field.get("default")
    if default in (None, "", False, {}) or default == []:
        return text
    return f"{text} Default: {default}.".strip()


def _inner(field: Schema) -> tuple[Schema | None, str]:
    """The object that a field holds, or a list of it."""
    for kind in (field, *field.get("anyOf", ()), *field.get("allOf", ())):
        if "$ref" in kind:
            found = _named(kind)
            return (found if "properties" in found else None), ""
        if "$ref" in kind.get("items", {}):
            return _named(kind["items"]), "[]"
    return None, ""


def _named(schema: Schema) -> Schema:
    return schemas()[schema["$ref"].rsplit("/", 1)[1]]


def _kind(field: Schema, *, null: bool = True) -> str:
    kinds = field.get("anyOf") or field.get("allOf") or [field]
    return " or ".join(dict.fromkeys(_one(kind) for kind in kinds if null or kind != {"type": "null"}))


def _one(kind: Schema) -> str:
    if "$ref" in kind:
        found = _named(kind)
        return "a code" if "enum" in found else "object"
    if "const" in kind:
        return f"`{kind['const']}`"
    if "enum" in kind:
        return ", ".join(f"`{value}`" for value in kind["enum"])
    names = {
        "integer": "whole number",
        "string": "text",
        "boolean": "true or false",
        "array": "list",
        "null": "null",
    }
    name = names.get(str(kind.get("type")), str(kind.get("type", "anything")))
    if kind.get("format") == "date-time":
        return "ISO 8601 time"
    if kind.get("type") == "array":
        return f"list of {_one(kind['items'])}" if "items" in kind else name
    return f"{name}{_bounds(kind)}"


def _bounds(kind: Schema) -> str:
    said = [
        f"{sign} {kind[key]:,}".replace(",", " ")
        for key, sign in (
            ("exclusiveMinimum", ">"),
            ("minimum", "≥"),
            ("exclusiveMaximum", "<"),
            ("maximum", "≤"),
        )
        if key in kind
    ]
    if "maxLength" in kind:
        said.append(f"at most {kind['maxLength']} characters")
    return f", {', '.join(said)}" if said else ""


def _member_docs(kind: type[Any]) -> dict[str, str]:
    """The texts below the members of an enumeration, which Python itself does not keep."""
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(definition, ast.ClassDef)
    docs = {}
    for member, below in zip(definition.body, definition.body[1:], strict=False):
        if (
            isinstance(member, ast.Assign)
            and isinstance(below, ast.Expr)
            and isinstance(below.value, ast.Constant)
        ):
            (target,) = member.targets
            docs[ast.unparse(target)] = " ".join(str(below.value.value).split())
    return docs


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    if not rows:
        yield "Nothing.\n"
        return
    yield f"| {' | '.join(head)} |"
    yield f"|{' --- |' * len(head)}"
    for row in rows:
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"
    yield ""


def _angled(topic: str) -> str:
    return topic.replace("{", "<").replace("}", ">")


def _doc(model: type[BaseModel]) -> str:
    return " ".join((model.__doc__ or "").split())
