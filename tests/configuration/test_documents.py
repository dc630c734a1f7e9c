"""Reading YAML and JSON that may come from anyone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.configuration.document import LARGEST_FILE, Node, SyntaxFault, parse, read_bytes, read_file
from gateway.configuration.problems import Problems


def plain(node: Node) -> Any:
    """The data of a tree, without lines."""
    if isinstance(node.value, tuple):
        return [plain(item) for item in node.value]
    if isinstance(node.value, dict):
        return {key: plain(member.node) for key, member in node.value.items()}
    return node.value


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**15), 10**15)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), JSON_VALUES, max_size=4), st.sampled_from([None, 2, "\t"]))
def test_json_reads_as_python_reads_it(document: dict[str, Any], indent: int | str | None) -> None:
    assert plain(parse(json.dumps(document, indent=indent))) == document


@given(st.text(alphabet='{}[]",:0123 \n\\eE-+.tfnu', max_size=60))
def test_any_text_is_read_or_refused_with_its_line(text: str) -> None:
    fault = None
    try:
        parse("{" + text)
    except SyntaxFault as error:
        fault = error
    assert fault is None or 1 <= fault.line <= text.count("\n") + 2


def test_lines_are_those_of_the_file() -> None:
    for text in ("a: 1\n\nb:\n- x\n- y: 2\n", '{"a": 1,\n\n"b":\n["x",\n{"y": 2}]}'):
        root = parse(text)
        assert isinstance(root.value, dict)
        listing = root.value["b"].node
        assert root.value["b"].line == 3
        assert isinstance(listing.value, tuple)
        assert listing.value[0].line == 4
        assert listing.value[1].line == 5


def test_yaml_is_read_as_version_1_2() -> None:
    root = parse("a: yes\nb: 010\nc: 0o17\nd: 2024-01-01\ne: ~\nf: 1e3\ng: true\nh: !!str 5\non: off\n")
    assert plain(root) == {
        "a": "yes",
        "b": 10,
        "c": 15,
        "d": "2024-01-01",
        "e": None,
        "f": 1000.0,
        "g": True,
        "h": "5",
        "on": "off",
    }


def test_anchors_and_merge_keys() -> None:
    root = parse("base: &b {x: 1, y: 2}\nuse:\n  <<: *b\n  y: 3\nagain: *b\n")
    assert plain(root)["use"] == {"x": 1, "y": 3}
    assert plain(root)["again"] == {"x": 1, "y": 2}


BOMB = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{new}: &{new} [{','.join([f'*{old}'] * 10)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, 'key "a" stands here a second time (first on line 1)'),
        ('{"a": 1,\n"a": 2}', 2, 'key "a" stands here a second time'),
        ("a: !!python/object/apply:os.system [id]\n", 1, "is not allowed: only plain data"),
        ("a: !!binary aGk=\n", 1, "is not allowed"),
        ("a: !secret x\n", 1, "is not allowed"),
        ("a: &a [*a]\n", 1, "nested deeper"),
        ("a: &a\n  <<: *a\n", 1, "nested deeper"),
        ("a:\n" + "".join(" " * depth + "- \n" for depth in range(1, 200)), 65, "nested deeper"),
        ("[" * 5000, 1, "nested"),
        ('{"a":' * 5000, 1, "nested"),
        ("a: [1, 2\nb: 3\n", 2, "not YAML"),
        ("a: 1\n---\nb: 2\n", 2, "not YAML"),
        ("%YAML 1.1\n---\na: yes\n", 1, "only YAML 1.2"),
        ("? [a]\n: b\n", 1, "a key is a text"),
        ("a: 1" + "0" * 5000, 1, "too many digits"),
        ('{"a": 1' + "0" * 5000 + "}", 1, "too many digits"),
        ('{"a": 1}\n{"b": 2}', 2, "follows the end"),
        ('{"a": 1,\n"b" 2}', 2, '":" is missing'),
        ('{"a": ["x"\n"b"]}', 2, '"," is missing'),
        ('{"a": @}', 1, "a JSON value is missing"),
        ('{"a": "x}', 1, "does not end"),
        ('{"a": "\\q"}', 1, "bad escape"),
        ("a: 'x\x00y'", 1, "not YAML"),
        ("<<: 1\n", 1, "merges mappings"),
    ],
)
def test_what_is_no_plain_document_is_refused_with_its_line(text: str, line: int, message: str) -> None:
    with pytest.raises(SyntaxFault) as caught:
        parse(text)
    assert message in caught.value.message
    assert abs(caught.value.line - line) <= 1


def test_a_small_text_cannot_become_a_large_tree() -> None:
    with pytest.raises(SyntaxFault, match="more than 200000 values"):
        parse(BOMB)


def test_size_encoding_and_absence(tmp_path: Path) -> None:
    problems = Problems()
    assert read_bytes(b"x" * (LARGEST_FILE + 1), "big.yaml", problems) is None
    assert read_bytes(b"a: 1\nb: \xff\n", "latin.yaml", problems) is None
    assert read_file(tmp_path / "absent.yaml", problems) is None
    assert read_file(tmp_path, problems) is None
    texts = [str(problem) for problem in problems]
    assert texts[0] == "big.yaml: is larger than 4 MiB"
    assert texts[1] == "latin.yaml:2: is not UTF-8 text"
    assert "absent.yaml: cannot be read: No such file or directory" in texts[2]
    assert "Is a directory" in texts[3]


def test_an_empty_document_is_nothing_and_a_byte_order_mark_is_skipped() -> None:
    assert parse("").value is None
    problems = Problems()
    root = read_bytes(b"\xef\xbb\xbfa: 1\n", "x", problems)
    assert root is not None
    assert plain(root) == {"a": 1}
