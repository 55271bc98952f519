"""From the settings and the keys that they name to the client of GeNiE.

Knows which setting goes where. Must not know what is asked of GeNiE.
"""

from __future__ import annotations

from gateway.files import Files
from gateway.genie.client import GenieClient
from gateway.genie.contract import Provider, RequestWriter
from gateway.genie.transport import GenieTransport
from gateway.settings import Settings


def genie_client(settings: Settings, files: Files) -> GenieClient:
    """How to talk to GeNiE as ourselves; not yet started."""
    genie, provider = settings.genie, settings.provider
    return GenieClient(
        base_url=genie.base_url,
        transport=lambda: GenieTransport(files.tls, genie.connections),
        writer=RequestWriter(
            Provider(provider.name, provider.address, provider.representative),
            provider.acquisition,
            settings.recipient.id,
        ),
        signing_key=files.signing_key,
        answer_keys=files.answer_keys,
        skew_ms=genie.skew_ms,
    )
