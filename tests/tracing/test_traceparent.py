"""A producer's traceparent: followed if it is right, as if it were not there if it is anything else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.trace import get_current_span

from gateway.observe.tracing import parent_of

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
RIGHT = f"00-{TRACE}-{SPAN}-01".encode()


def read(*values: bytes | None) -> tuple[str, str, bool] | None:
    context = parent_of([("traceparent", value) for value in values])
    if context is None:
        return None
    found = get_current_span(context).get_span_context()
    assert found.is_remote
    assert not found.trace_state
    return f"{found.trace_id:032x}", f"{found.span_id:016x}", found.trace_flags.sampled


@pytest.mark.parametrize(
    ("value", "sampled"),
    [
        (RIGHT, True),
        (f"00-{TRACE}-{SPAN}-00".encode(), False),
        (f"00-{TRACE}-{SPAN}-03".encode(), True),  # level 2: made at random
        (f"cc-{TRACE}-{SPAN}-01-what-comes-later".encode(), True),  # a version to come
    ],
)
def test_a_right_one_is_followed(value: bytes, sampled: bool) -> None:
    """Trace, parent, and whether it is sampled."""
    assert read(value) == (TRACE, SPAN, sampled)


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"00",
        b"\x00" * 55,
        b"\xff" * 55,
        f"ff-{TRACE}-{SPAN}-01".encode(),  # no version
        f"00-{'0' * 32}-{SPAN}-01".encode(),
        f"00-{TRACE}-{'0' * 16}-01".encode(),
        f"00-{TRACE.upper()}-{SPAN}-01".encode(),
        f"00-{TRACE}-{SPAN}-01-more".encode(),  # version 0 has no more
        f"00-{TRACE}-{SPAN}-1".encode(),
        f"00-{TRACE}-{SPAN}".encode(),
        f"00_{TRACE}_{SPAN}_01".encode(),
        f"00-{TRACE[:-1]}g-{SPAN}-01".encode(),
        "００-".encode() + RIGHT[3:],  # digits of another width
        f"cc-{TRACE}-{SPAN}-01-".encode() + b"x" * 300,
        RIGHT * 10_000,
    ],
    ids=lambda value: "none" if value is None else f"{value[:40]!r} of {len(value)}",
)
def test_anything_else_is_as_if_it_were_not_there(value: bytes | None) -> None:
    """Nothing is raised, and nothing begins."""
    assert read(value) is None


def test_of_two_neither_is_followed() -> None:
    """Which of them would be right?"""
    assert read(RIGHT, RIGHT) is None
    assert read() is None


@given(st.binary(max_size=80) | st.text(alphabet="0123456789abcdef-", max_size=60).map(str.encode))
def test_no_bytes_are_too_much(value: bytes) -> None:
    """Whatever a producer writes there."""
    read(value)
