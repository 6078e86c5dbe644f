"""A values.yaml with the comments over its keys: what each value is for, and the shape that values must have.

A comment directly over a key is its text. A line `@schema {...}` in it is JSON schema that its default cannot show; with a
type or a reference it stands for the whole.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

_MARK = "@schema "
_TYPES: dict[type, str] = {str: "string", bool: "boolean", int: "integer", float: "number", list: "array", dict: "object"}


@dataclass(frozen=True)
class Documented:
    """A value, and those below it."""

    text: str
    """Its comment, in one line."""
    default: Any
    hint: dict[str, Any] = field(default_factory=dict)
    """What `@schema` says of it."""
    children: dict[str, "Documented"] = field(default_factory=dict)
    """By key; none below a value that is written on one line, or whose whole schema is given."""

    def at(self, *path: str) -> "Documented":
        """The value at `path` below this one. Raises KeyError."""
        return self.children[path[0]].at(*path[1:]) if path else self

    def all(self, above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], "Documented"]]:
        """Every value below this one with its path, in order."""
        for key, child in self.children.items():
            yield (*above, key), child
            yield from child.all((*above, key))

    def schema(self) -> dict[str, Any]:
        """JSON schema: keys that are not there are not allowed, and values are of the default's type."""
        described = {"description": self.text} if self.text else {}
        if "type" in self.hint or "$ref" in self.hint or "enum" in self.hint:
            return self.hint | described
        if self.children:
            below = {key: child.schema() for key, child in self.children.items()}
            return {"type": "object", **described, "properties": below, "additionalProperties": False}
        return {"type": _TYPES[type(self.default)], **described, **self.hint}


def read_documented(path: Path) -> Documented:
    """Raises ValueError for a key that nothing is said of, unless it is below a value whose whole schema is given."""
    text = path.read_text()
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    assert isinstance(root, yaml.MappingNode)
    return Documented("", yaml.safe_load(text), children=_children(root, text.splitlines(), yaml.safe_load(text), ()))


def _children(node: yaml.MappingNode, lines: list[str], values: dict[str, Any], above: tuple[str, ...]) -> dict[str, Documented]:
    children: dict[str, Documented] = {}
    for key_node, value_node in node.value:
        key = key_node.value
        path = (*above, key)
        said, hint = _comment(lines, key_node.start_mark.line)
        if not said:
            raise ValueError(f"values.yaml: {'.'.join(path)} has no comment over it; say what it is for")
        # Below a service are keys of `defaults`, which are explained there.
        is_whole = "type" in hint or "$ref" in hint or above == ("services",)
        below: dict[str, Documented] = {}
        if isinstance(value_node, yaml.MappingNode) and not value_node.flow_style and not is_whole:
            below = _children(value_node, lines, values[key], path)
        children[key] = Documented(said, values[key], hint, below)
    return children


def _comment(lines: list[str], line: int) -> tuple[str, dict[str, Any]]:
    """The text and the hint in the comment that ends over `line`."""
    first = line
    while first > 0 and lines[first - 1].lstrip().startswith("#"):
        first -= 1
    said = [each.strip().removeprefix("#").strip() for each in lines[first:line]]
    hints = [json.loads(each.removeprefix(_MARK)) for each in said if each.startswith(_MARK)]
    return " ".join(each for each in said if not each.startswith(_MARK)), hints[0] if hints else {}
