"""A strict GeNiE: an HTTPS server that enforces the whole of schemas/openapi/genie-provision.yaml.

It must not know the gateway, only the contract. It checks signatures with a library that the gateway does not
use.
"""

from gateway.sandbox.genie.sandbox import Sandbox

__all__ = ["Sandbox"]
