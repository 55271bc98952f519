"""A door before a schema registry, as companies have one: TLS by an authority of their own, a user and a password.

Knows HTTP and basic authentication. Must not know what is asked behind it.
"""

import base64
import ssl
import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

USER, PASSWORD = "gateway", "correct horse"
BEHIND_S = 120.0  # longer than any test lets the registry hang


class Door:
    """`with` opens it; what it lets in is answered by the registry behind it."""

    def __init__(self, behind: str, certificate: Path) -> None:
        wanted = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the name in the base class
                return

            def pass_on(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                if self.headers.get("authorization") != wanted:
                    self.answer(401, b"who are you?", "text/plain")
                    return
                request = urllib.request.Request(behind + self.path, body or None, method=self.command)  # noqa: S310 - the registry's
                request.add_header("content-type", "application/json")
                try:
                    with urllib.request.urlopen(request, timeout=BEHIND_S) as answer:  # noqa: S310 - as above
                        self.answer(answer.status, answer.read(), "application/json")
                except urllib.error.HTTPError as error:
                    self.answer(error.code, error.read(), "application/json")

            do_GET = do_POST = do_PUT = pass_on  # noqa: N815 - the names that the base class calls

            def answer(self, status: int, body: bytes, kind: str) -> None:
                try:
                    self.send_response(status)
                    self.send_header("content-type", kind)
                    self.send_header("content-length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                except OSError:
                    return  # whoever asked has given up

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._running = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        return f"https://localhost:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._running.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._running.join()
        self._server.server_close()
