"""YAML 1.2 with line numbers: ruamel.yaml's composer, and a conversion that knows plain data only."""

from __future__ import annotations

import re

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode
from ruamel.yaml.nodes import Node as YamlNode

from .document import Builder, Member, Node, Scalar, SyntaxFault

_PREFIX = "tag:yaml.org,2002:"
_BOOLEANS = {"true": True, "false": False}
_SPECIAL_FLOATS = {".inf", "-.inf", "+.inf", ".nan"}
_OTHER_VERSION = re.compile(r"^%YAML[ \t]+(?!1\.2\s)", re.MULTILINE)


def parse(text: str) -> Node:
    """The tree of one YAML document; an empty one is a null. SyntaxFault says where and what is wrong."""
    if other := _OTHER_VERSION.search(text):
        raise SyntaxFault(text.count("\n", 0, other.start()) + 1, "only YAML 1.2 is read")
    try:
        root = YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = " ".join(part for part in (error.context, error.problem) if part)
        raise SyntaxFault(mark.line + 1 if mark else 1, f"not YAML: {said}") from None
    except YAMLError as error:
        raise SyntaxFault(1, f"not YAML: {str(error).splitlines()[0]}") from None
    except RecursionError:
        raise SyntaxFault(1, "nested too deeply") from None
    except ValueError as error:
        raise SyntaxFault(1, f"not YAML: {error}") from None
    return Node(1, None) if root is None else _Converter().convert(root, 0)


class _Converter:
    def __init__(self) -> None:
        self._builder = Builder()

    def convert(self, node: YamlNode, depth: int) -> Node:
        line = node.start_mark.line + 1
        self._builder.enter(line, depth)
        tag = str(node.tag or "")
        name = tag.removeprefix(_PREFIX)
        if isinstance(node, ScalarNode):
            return Node(line, _scalar(name, tag, node.value, line), node.value)
        if isinstance(node, SequenceNode) and name == "seq":
            return Node(line, tuple(self.convert(item, depth + 1) for item in node.value))
        if isinstance(node, MappingNode) and name == "map":
            return Node(line, self._members(node, depth))
        raise SyntaxFault(line, f"tag {tag} is not allowed: only plain data is read")

    def _members(self, node: MappingNode, depth: int) -> dict[str, Member]:
        members: dict[str, Member] = {}
        merged: list[dict[str, Member]] = []
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, ScalarNode):
                raise SyntaxFault(line, "a key is a text, not a list or a mapping")
            if key.tag == _PREFIX + "merge":
                merged.extend(self._merged(value, depth))
            else:
                self._builder.add(members, key.value, Member(line, self.convert(value, depth + 1)))
        for source in merged:
            for name, member in source.items():
                members.setdefault(name, member)
        return members

    def _merged(self, value: YamlNode, depth: int) -> list[dict[str, Member]]:
        sources = value.value if isinstance(value, SequenceNode) else [value]
        line = value.start_mark.line + 1
        result = []
        for source in sources:
            self._builder.enter(line, depth + 1)
            if not isinstance(source, MappingNode):
                raise SyntaxFault(line, "<< merges mappings only")
            result.append(self._members(source, depth + 1))
        return result


def _scalar(name: str, tag: str, text: str, line: int) -> Scalar:
    match name:
        case "str" | "timestamp" | "value":
            return text
        case "null":
            return None
        case "bool" if text.lower() in _BOOLEANS:
            return _BOOLEANS[text.lower()]
        case "int":
            return _integer(text, line)
        case "float" if text.lower() in _SPECIAL_FLOATS:
            return text
        case "float":
            return _number(text, line)
    raise SyntaxFault(line, f"tag {tag} is not allowed for {text[:40]!r}: only plain data is read")


def _integer(text: str, line: int) -> int:
    if len(text) > 40:
        raise SyntaxFault(line, "a number has too many digits")
    try:
        return int(text.replace("_", ""), 0) if text.lower().startswith(("0x", "0o")) else int(text.replace("_", ""))
    except ValueError:
        raise SyntaxFault(line, f"{text!r} is not a whole number") from None


def _number(text: str, line: int) -> float:
    try:
        return float(text.replace("_", ""))
    except ValueError:
        raise SyntaxFault(line, f"{text!r} is not a number") from None
