"""The admin port: counts, and faults switched while GeNiE runs. Plain HTTP on the loopback address only.

PUT /faults switches to exactly the faults of its content, PATCH /faults switches these on and leaves the rest.

Knows the counters and the faults; must not know what is in a request.
"""

import orjson
from aiohttp import web

from gateway.sandbox.genie.faults import KINDS, FaultError, Faults, described
from gateway.sandbox.genie.server import Genie

MAX_CONTENT = 65_536


def application(genie: Genie) -> web.Application:
    """GET /stats, and GET, PUT and PATCH of /faults."""

    async def stats(_: web.Request) -> web.Response:
        return _json(_stats(genie))

    async def show(_: web.Request) -> web.Response:
        return _json(_faults(genie.faults))

    async def switch(request: web.Request) -> web.Response:
        try:
            wanted = orjson.loads(await request.read())
        except orjson.JSONDecodeError:
            return _json({"error": "the content must be JSON"}, 400)
        if not isinstance(wanted, dict):
            return _json({"error": "the content must be an object: {fault: {share, ..}}"}, 400)
        try:
            (genie.faults.add if request.method == "PATCH" else genie.faults.replace)(wanted)
        except FaultError as error:
            return _json({"error": str(error)}, 400)
        return _json(_faults(genie.faults))

    app = web.Application(client_max_size=MAX_CONTENT)
    app.add_routes([web.get("/stats", stats), web.get("/faults", show), web.put("/faults", switch)])
    app.add_routes([web.patch("/faults", switch)])
    return app


def _stats(genie: Genie) -> dict[str, object]:
    counts = genie.counts
    return {
        "answers": counts.answers,
        "refusals": counts.refusals,
        "entries": counts.entries,
        "lookups": counts.lookups,
        "faults": genie.faults.hits,
        "connections_cut": counts.cut,
        "in_flight": counts.in_flight,
        "distinct_keys": len(genie.books),
        "nonces": len(genie.verifier.nonces),
    }


def _faults(faults: Faults) -> dict[str, object]:
    """Every kind of fault: what it imitates and takes, and with which parameters it is on."""
    return {
        name: {
            "does": kind.sentence,
            "when": kind.point.value,
            "hits": faults.hits[name],
            "parameters": described(kind),
            "on": faults.active.get(name),
        }
        for name, kind in KINDS.items()
    }


def _json(document: object, status: int = 200) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(document, default=dict), content_type="application/json")
