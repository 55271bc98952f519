"""JSON as people write it: one document over many lines, or one on each, and where each part stands."""

import pytest

from gateway.producer.documents import NotJsonError, read

TEXT = """
{
  "event_id": "a",
  "customer": {"name": "b",
               "phone": "c"},
  "inputs": [
    {"value": "1"},
    {"value": "2"}
  ]
}
{"event_id": "d"} {"event_id": "e"}
"""


def test_documents_follow_one_another_however_they_are_written() -> None:
    """Pretty-printed, on one line, and several on one."""
    assert [(document.line, document.value["event_id"]) for document in read(TEXT)] == [(2, "a"), (11, "d"), (11, "e")]


@pytest.mark.parametrize(
    ("pointer", "line"),
    [
        ("", 2),
        ("/event_id", 3),
        ("/customer/phone", 5),
        ("/customer/missing", 4),
        ("/inputs/1/value", 8),
        ("/inputs/7/value", 6),
        ("/missing", 2),
    ],
)
def test_a_part_has_a_line(pointer: str, line: int) -> None:
    """What is missing has the line of what it is missing in."""
    assert next(read(TEXT)).lines_of([pointer]) == [line]


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ('{"a": 1}\n{"a": }', 2, "is not JSON: expecting value"),
        ('{"a": 1', 1, "is not JSON"),
        ('\n\n{"a": 1, "a": 2}', 3, "has `a` twice in one object"),
        ('{"山田": 1, "山田": 2}', 1, "has a name twice in one object"),
        ('{"a": NaN}', 1, "has NaN or Infinity"),
        ('{"a": ' + "9" * 5_000 + "}", 1, "has a number too long"),
        ("[" * 100_000, 1, "nested too deep"),
    ],
)
def test_what_is_no_json_is_told_with_its_line(text: str, line: int, what: str) -> None:
    """And never with what stands there."""
    with pytest.raises(NotJsonError) as caught:
        list(read(text))
    assert caught.value.line == line
    assert what in str(caught.value)
    assert "山" not in str(caught.value)


def test_a_text_that_yaml_cannot_read_has_the_line_of_its_document() -> None:
    """Lines are looked for in a second reading, which tabs may stop: the document's own line is still right."""
    (document,) = read('\n\n{\n\t"a": 1,\n\t"b": 2\n}')
    assert document.lines_of(["/a", "/b"]) in ([3, 3], [4, 5])
