"""Starts and stops a GeNiE in this process: keys, receipts, the TLS port and the admin port.

Knows how the parts are put together; must not know what they do.
"""

import ssl
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from aiohttp import web

from gateway.sandbox import pki
from gateway.sandbox.genie import admin
from gateway.sandbox.genie.books import Books
from gateway.sandbox.genie.contract import validator
from gateway.sandbox.genie.faults import Faults
from gateway.sandbox.genie.receipts import Receipts
from gateway.sandbox.genie.server import Counts, Genie
from gateway.sandbox.genie.signatures import AnswerSigner, Clock, RequestVerifier
from gateway.sandbox.genie.tls import server_context

_HOST = "127.0.0.1"
_NAME = "localhost"
_SHUTDOWN_S = 1.0  # for requests that a fault keeps waiting
_REQUEST_SCHEMAS = ("ProvisionBatch", "SingleProvision", "Lookup")


def _wall_clock() -> int:
    return time.time_ns() // 1_000_000


class Sandbox:
    """`async with Sandbox(directory) as genie:` runs it; what it received stays in the directory."""

    def __init__(
        self,
        directory: Path,
        *,
        port: int = 0,
        admin_port: int = 0,
        faults: Mapping[str, object] | None = None,
        seed: int = 0,
        clock: Clock = _wall_clock,
    ) -> None:
        """Port 0 takes a free one. `faults` as in `PUT /faults`; raises FaultError."""
        self.pki = pki.make(directory / "pki", _NAME)
        self.receipts = directory / "receipts.jsonl"
        self.url = ""
        self.admin_url = ""
        self.faults = Faults(seed)
        self.faults.replace(faults or {})
        self._ports = (port, admin_port)
        self._clock = clock
        self._stopping: list[web.BaseRunner] = []
        self._file: Receipts | None = None
        self._running: Genie | None = None
        self._tls: ssl.SSLContext | None = None

    async def __aenter__(self) -> Self:
        for schema in _REQUEST_SCHEMAS:  # compiled before the first request
            validator(schema)
        self._file = Receipts(self.receipts)
        genie = self._running = self._genie(self._file)
        self._tls = server_context(self.pki, self.faults)
        port, admin_port = self._ports
        try:
            server = web.Server(genie.handle, access_log=None)
            self.faults.on_new_handshakes = partial(_end_connections, server)
            runner = web.ServerRunner(server, shutdown_timeout=_SHUTDOWN_S)
            self.url = f"https://{_NAME}:{await self._listen(runner, port, self._tls)}"
            application = web.AppRunner(admin.application(genie), access_log=None, shutdown_timeout=_SHUTDOWN_S)
            self.admin_url = f"http://{_HOST}:{await self._listen(application, admin_port, None)}"
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Close the ports, then the receipts."""
        for runner in self._stopping:
            await runner.cleanup()
        self._stopping.clear()
        if self._file is not None:
            self._file.close()
            self._file = None

    def agree(self, keys: Mapping[str, Path]) -> None:
        """From now on requests may be signed by these keys: the public half (PEM) of each, by key id."""
        if self._running is not None:
            self._running.verifier.agree(keys)

    def sign_with(self, key: Path, key_id: str) -> None:
        """From now on answers are signed by this key."""
        if self._running is not None:
            self._running.signer = AnswerSigner.load(key, key_id, self._clock)

    def trust(self, authorities: Path) -> None:
        """From now on client certificates by these authorities (PEM) are right too."""
        if self._tls is not None:
            self._tls.load_verify_locations(authorities)

    def show(self, certificate: Path) -> None:
        """From now on new connections get this certificate (PEM, with its key)."""
        if self._tls is not None:
            self._tls.load_cert_chain(certificate)

    def _genie(self, receipts: Receipts) -> Genie:
        keys = {
            pki.NOREL_ED25519_ID: pki.public_half(self.pki.norel_ed25519),
            pki.NOREL_P256_ID: pki.public_half(self.pki.norel_p256),
        }
        return Genie(
            verifier=RequestVerifier(keys, self._clock),
            signer=AnswerSigner.load(self.pki.genie_ed25519, pki.GENIE_ED25519_ID, self._clock),
            books=Books(receipts),
            faults=self.faults,
            clock=self._clock,
            counts=Counts(),
        )

    async def _listen(self, runner: web.BaseRunner, port: int, tls: ssl.SSLContext | None) -> int:
        await runner.setup()
        self._stopping.append(runner)
        await web.TCPSite(runner, _HOST, port, ssl_context=tls).start()
        listening: int = runner.addresses[0][1]
        return listening


def _end_connections(server: web.Server) -> None:
    for connection in server.connections:
        connection.force_close()
