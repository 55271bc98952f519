"""Where the chart is, and what it decides itself instead of passing on."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy" / "helm" / "credit-gateway"
MOUNTED = "/etc/credit-gateway"

# Settings that have one right value in a pod: setting -> what gives it.
OWN = {
    "instance": "the pod's name",
    "memory_bytes": "`resources.limits.memory`",
    "kafka.group_instance_id": "the pod's name",
    "view.path": "the volume of `persistence`",
}

# What the gateway has no default for, or another: here the paths are known, and a pod needs longer than a process to
# be back (45 s is also what Kafka's own clients give themselves, KIP-735).
DEFAULTS: dict[str, object] = {
    "kafka.session_timeout_ms": 45_000,
    "genie.ca_file": f"{MOUNTED}/genie-ca/ca.crt",
    "genie.client_cert_file": f"{MOUNTED}/genie-tls/tls.crt",
    "genie.client_key_file": f"{MOUNTED}/genie-tls/tls.key",
    "genie.signing_key_file": f"{MOUNTED}/keys/signing.key",
    "keys.idempotency_key_file": f"{MOUNTED}/keys/idempotency.key",
    "keys.pseudonym_key_file": f"{MOUNTED}/keys/pseudonym.key",
}

# In a cluster there is no right guess at these.
REQUIRED_HERE = frozenset({"kafka.security_protocol"})
