"""JSON with line numbers, which Python's own reader does not give."""

from __future__ import annotations

import json
import re
from bisect import bisect_right

from .document import Builder, Member, Node, Scalar, SyntaxFault

_SPACE = re.compile(r"[ \t\n\r]*")
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"')
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?", re.ASCII)
_WORDS: dict[str, Scalar] = {"true": True, "false": False, "null": None}
_WORD = re.compile("|".join(_WORDS))
_LONGEST_NUMBER = 40


def parse(text: str) -> Node:
    """The tree of one JSON document. SyntaxFault says where and what is wrong."""
    reader = _Reader(text)
    node, position = reader.value(reader.skip(0), 0)
    position = reader.skip(position)
    if position != len(text):
        raise SyntaxFault(reader.line(position), "text follows the end of the JSON document")
    return node


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._line_ends = [match.start() for match in re.finditer("\n", text)]
        self._builder = Builder()

    def line(self, position: int) -> int:
        return bisect_right(self._line_ends, position - 1) + 1 if position else 1

    def skip(self, position: int) -> int:
        match = _SPACE.match(self._text, position)
        return match.end() if match else position

    def value(self, position: int, depth: int) -> tuple[Node, int]:
        line = self.line(position)
        self._builder.enter(line, depth)
        match self._text[position : position + 1]:
            case "{":
                return self._object(position + 1, line, depth)
            case "[":
                return self._array(position + 1, line, depth)
            case '"':
                string, end = self._string(position)
                return Node(line, string, string), end
        if word := _WORD.match(self._text, position):
            return Node(line, _WORDS[word[0]], word[0]), word.end()
        if number := _NUMBER.match(self._text, position):
            if len(number[0]) > _LONGEST_NUMBER:
                raise SyntaxFault(line, "a number has too many digits")
            value = float(number[0]) if number[1] or number[2] else int(number[0])
            return Node(line, value, number[0]), number.end()
        raise SyntaxFault(line, "a JSON value is missing here")

    def _object(self, position: int, line: int, depth: int) -> tuple[Node, int]:
        members: dict[str, Member] = {}
        position = self.skip(position)
        if self._text.startswith("}", position):
            return Node(line, members), position + 1
        while True:
            key_line = self.line(position)
            if not self._text.startswith('"', position):
                raise SyntaxFault(key_line, "a key in double quotes is missing here")
            key, position = self._string(position)
            position = self._expect(":", self.skip(position))
            node, position = self.value(self.skip(position), depth + 1)
            self._builder.add(members, key, Member(key_line, node))
            position = self.skip(position)
            if self._text.startswith("}", position):
                return Node(line, members), position + 1
            position = self.skip(self._expect(",", position))

    def _array(self, position: int, line: int, depth: int) -> tuple[Node, int]:
        items: list[Node] = []
        position = self.skip(position)
        if self._text.startswith("]", position):
            return Node(line, ()), position + 1
        while True:
            node, position = self.value(position, depth + 1)
            items.append(node)
            position = self.skip(position)
            if self._text.startswith("]", position):
                return Node(line, tuple(items)), position + 1
            position = self.skip(self._expect(",", position))

    def _string(self, position: int) -> tuple[str, int]:
        match = _STRING.match(self._text, position)
        if match is None:
            raise SyntaxFault(self.line(position), "a text in double quotes does not end, or holds a control character")
        try:
            return str(json.loads(match[0])), match.end()
        except ValueError:
            raise SyntaxFault(self.line(position), "a text holds a bad escape") from None

    def _expect(self, mark: str, position: int) -> int:
        if not self._text.startswith(mark, position):
            raise SyntaxFault(self.line(position), f'"{mark}" is missing here')
        return position + 1
