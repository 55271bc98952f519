"""From the settings and the keys that they name to the client of GeNiE.

Knows which setting goes where. Must not know what is asked of GeNiE.
"""

from __future__ import annotations

from gateway.genie.client import Credentials, GenieClient
from gateway.genie.contract import Provider, RequestWriter
from gateway.genie.transport import GenieTransport
from gateway.settings import Settings


def genie_client(settings: Settings, credentials: Credentials) -> GenieClient:
    """How to talk to GeNiE as ourselves; not yet started."""
    genie, provider = settings.genie, settings.provider
    return GenieClient(
        base_url=genie.base_url,
        transport=lambda tls: GenieTransport(genie.base_url, tls, genie.connections),
        writer=RequestWriter(
            Provider(provider.name, provider.address, provider.representative),
            provider.acquisition,
            settings.recipient.id,
        ),
        credentials=credentials,
        skew_ms=genie.skew_ms,
    )
