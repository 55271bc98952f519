"""A strict GeNiE: an HTTPS server that enforces the whole of schemas/openapi/genie-provision.yaml.

It must not know the gateway, only the contract. It shares no signature code with it: each is tested against a library
that neither uses.
"""

from gateway.sandbox.genie.sandbox import Sandbox

__all__ = ["Sandbox"]
