"""The client's requests with and without a traceparent: the header is there if it is given, and signed it never is."""

import ssl
from collections.abc import Mapping

import pytest

from gateway.core.outcome import Loss, Lost
from gateway.genie.client import Credentials, GenieClient
from gateway.genie.contract import Provider, RequestWriter
from gateway.genie.keys import SigningKey
from gateway.genie.transport import BrokenError, HttpAnswer

NOW_MS = 1_772_000_000_000
GIVEN = f"00-{'a' * 32}-{'1' * 16}-01"


class Transport:
    """Keeps the headers of each request, and answers none."""

    def __init__(self) -> None:
        self.headers: list[Mapping[str, str]] = []

    async def post(self, path: str, headers: Mapping[str, str], content: bytes) -> HttpAnswer:
        self.headers.append(headers)
        raise BrokenError

    async def aclose(self) -> None:
        pass


@pytest.fixture
async def transport_and_client() -> tuple[Transport, GenieClient]:
    transport = Transport()
    client = GenieClient(
        base_url="https://genie.example",
        transport=lambda tls: transport,
        writer=RequestWriter(Provider("a", "b", "c"), "how", "genie"),
        credentials=Credentials(
            ssl.create_default_context(), SigningKey("norel-1", "ed25519", lambda message: b"s" * 64), {}
        ),
        skew_ms=1_000,
        now_ms=lambda: NOW_MS,
    )
    await client.start()
    return transport, client


async def test_the_header_is_there_if_it_is_given(transport_and_client: tuple[Transport, GenieClient]) -> None:
    """On a batch and on a lookup; no signature names it."""
    transport, client = transport_and_client
    assert await client.send([], NOW_MS + 60_000, GIVEN) == Lost(Loss.BROKEN)
    assert await client.look_up(["key"], GIVEN) is None
    for headers in transport.headers:
        assert headers["traceparent"] == GIVEN
        assert "traceparent" not in {name.lower(): value for name, value in headers.items()}["signature-input"]
    assert len(transport.headers) == 2


async def test_without_one_there_is_no_such_header(transport_and_client: tuple[Transport, GenieClient]) -> None:
    """Not even an empty one."""
    transport, client = transport_and_client
    await client.send([], NOW_MS + 60_000)
    await client.look_up(["key"])
    assert [headers.get("traceparent", "none") for headers in transport.headers] == ["none", "none"]
    assert all("accept-encoding" in headers for headers in transport.headers)
