"""What makes the embedded node a guarded one: TLS on every listener, logins, and an authorizer that denies by default.

Knows certificates, users and the server properties that use them. Must not know who is allowed what.
Nothing here is fit for production: keys and passwords lie in one directory, unencrypted.
"""

import ssl
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path

import trustme
from cryptography.hazmat.primitives import serialization

from gateway.sandbox.broker.config import HOST

BROKER = "broker"  # the node's own name, its super user
SCRAM, PLAIN = "SCRAM-SHA-512", "PLAIN"  # how passwords may be proven here
_MODULE = "org.apache.kafka.common.security"
_PRIVATE = 0o600


class Secured:
    """A node's certificates and users. `users` log in by password, `certified` by a certificate of that name."""

    def __init__(self, directory: Path, users: Mapping[str, str], certified: Iterable[str] = ()) -> None:
        self.directory = directory
        self._users = dict(users)
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(self.ca))
        for name in (BROKER, *certified):
            made = authority.issue_cert(HOST, "localhost", common_name=name)
            chain = b"".join(part.bytes() for part in made.cert_chain_pems)
            key = _pkcs8(made.private_key_pem.bytes())
            self.certificate(name).write_bytes(chain)
            for path, content in ((self.key(name), key), (self._both(name), key + chain)):
                path.touch(_PRIVATE)
                path.write_bytes(content)

    @property
    def ca(self) -> Path:
        """The authority of every certificate here."""
        return self.directory / "kafka-ca.pem"

    def certificate(self, name: str) -> Path:
        """A user's certificate."""
        return self.directory / f"{name}.pem"

    def key(self, name: str) -> Path:
        """Its private key."""
        return self.directory / f"{name}.key"

    @cached_property
    def tls(self) -> ssl.SSLContext:
        """How the super user connects."""
        context = ssl.create_default_context(cafile=str(self.ca))
        context.load_cert_chain(self.certificate(BROKER), self.key(BROKER))
        return context

    def format_arguments(self) -> list[str]:
        """Users are part of the data directory from its first moment: no listener is open without them."""
        return [
            argument
            for name, password in self._users.items()
            for argument in ("--add-scram", f"{SCRAM}=[name={name},password={password}]")
        ]

    def properties(self, port: int, mtls_port: int, controller_port: int) -> dict[str, str]:
        """CLIENTS takes passwords, MTLS certificates; brokers and controllers know each other by certificate."""
        users = " ".join(f'user_{name}="{password}"' for name, password in self._users.items())
        logins = {
            SCRAM: f"{_MODULE}.scram.ScramLoginModule required;",
            PLAIN: f"{_MODULE}.plain.PlainLoginModule required {users};",
        }
        listeners = f"CLIENTS://{HOST}:{port},MTLS://{HOST}:{mtls_port}"
        return {
            "listeners": f"{listeners},CONTROLLER://{HOST}:{controller_port}",
            "advertised.listeners": listeners,
            "listener.security.protocol.map": "CLIENTS:SASL_SSL,MTLS:SSL,CONTROLLER:SSL",
            "inter.broker.listener.name": "MTLS",
            "sasl.enabled.mechanisms": ",".join(logins),
            **{
                f"listener.name.clients.{mechanism.lower()}.sasl.jaas.config": login
                for mechanism, login in logins.items()
            },
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(self._both(BROKER)),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self.ca),
            "listener.name.mtls.ssl.client.auth": "required",
            "listener.name.controller.ssl.client.auth": "required",
            "ssl.principal.mapping.rules": r"RULE:^(?:.*,)?CN=([^,]+).*$/$1/,DEFAULT",
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "allow.everyone.if.no.acl.found": "false",
            "super.users": f"User:{BROKER}",
        }

    def _both(self, name: str) -> Path:
        return self.directory / f"{name}.both.pem"


def _pkcs8(pem: bytes) -> bytes:
    """The only form of private key that Kafka reads."""
    key = serialization.load_pem_private_key(pem, password=None)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
