"""A partner that takes anything and answers after a while: what the naive baseline posts to.

Knows TLS and a delay. It checks and keeps nothing: GeNiE's strict sandbox would refuse what is not signed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import ssl
import uuid
from pathlib import Path

from aiohttp import web

DELAY_MS = 20.0
HOST = "localhost"


async def serve(certificate: Path, port: int, delay_ms: float) -> web.ServerRunner:
    """Listen; cleanup() of what is returned ends it."""
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate)

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        await request.read()
        await asyncio.sleep(delay_ms / 1000)
        return web.json_response({"status": "accepted", "receipt_id": str(uuid.uuid4())})

    runner = web.ServerRunner(web.Server(answer, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls).start()
    return runner


def url_of(runner: web.ServerRunner) -> str:
    """Where it listens."""
    return f"https://{HOST}:{runner.addresses[0][1]}"


async def _run(certificate: Path, port: int, delay_ms: float) -> None:
    runner = await serve(certificate, port, delay_ms)
    print(json.dumps({"url": url_of(runner)}), flush=True)
    try:
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


def main() -> None:
    """One line of JSON once it listens; it ends by a signal."""
    parser = argparse.ArgumentParser(prog="python -m load.plain_partner", description=__doc__)
    parser.add_argument("--certificate", required=True, type=Path, help="PEM with certificate and key")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--delay-ms", type=float, default=DELAY_MS)
    a = parser.parse_args()
    asyncio.run(_run(a.certificate, a.port, a.delay_ms))


if __name__ == "__main__":
    main()
