"""What a pod of the chart finds when it starts: its files and its variables, below a directory of this machine.

Knows mounts and variables as Kubernetes fills them in. Must not know what the pod does, or what ends it.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from deploy.chart.places import MOUNTED
from gateway.sandbox.broker.config import HOST
from tests.deploy.charts import Rendered, Resource

# what the secrets and configMaps that the values name hold, by the sandbox's names of them
HELD = {
    "keys": {
        "signing.key": "norel-ed25519.key",
        "idempotency.key": "idempotency.key",
        "pseudonym.key": "pseudonym.key",
    },
    "genie-tls": {"tls.crt": "client.pem", "tls.key": "client.key"},
    "genie-ca": {"ca.crt": "ca.pem"},
    "genie-keys": {"genie-2026-1.pub": "genie-ed25519.pub"},
}


class Place:
    """One pod's file system, below a directory."""

    def __init__(
        self,
        directory: Path,
        rendered: Rendered,
        pod: Resource,
        pki: Path,
        name: str,
        others: Mapping[str, Mapping[str, Path]] | None = None,
    ) -> None:
        """`others`: name under files -> key -> file, beside what the sandbox has."""
        self.container: Resource = pod["containers"][0]
        self.root = directory
        self.volume = directory / "credit-gateway"  # of the view
        self._name = name
        mounts = {mount["mountPath"].removeprefix(f"{MOUNTED}/"): mount["name"] for mount in self._mounts()}
        sandboxes = {file: {key: pki / held for key, held in files.items()} for file, files in HELD.items()}
        for file, files in {**sandboxes, **(others or {})}.items():
            if f"file-{file}" == mounts.get(file):
                (directory / file).mkdir(parents=True)
                for key, held in files.items():
                    (directory / file / key).write_bytes(held.read_bytes())
        config = next(volume["configMap"]["name"] for volume in pod["volumes"] if volume["name"] == "settings")
        (toml,) = [
            each["data"]["gateway.toml"] for each in rendered.all("ConfigMap") if each["metadata"]["name"] == config
        ]
        (directory / "settings").mkdir(parents=True)
        self.volume.mkdir()
        (directory / "settings" / "gateway.toml").write_text(toml.replace(MOUNTED, str(directory)))

    @property
    def variables(self) -> Mapping[str, str]:
        """The container's own; a pod has an address to itself, which here is this machine's."""
        return {"GATEWAY_OBSERVE__HOST": HOST, **{each["name"]: self._value(each) for each in self.container["env"]}}

    @property
    def environment(self) -> Mapping[str, str]:
        """With this machine's, but for what the gateway would take for settings."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}
        return {**inherited, **self.variables}

    @property
    def arguments(self) -> list[str]:
        """Of the command `gateway`."""
        return list(self.container["args"])

    def _mounts(self) -> list[Resource]:
        return list(self.container["volumeMounts"])

    def _value(self, variable: Resource) -> str:
        """As Kubernetes would fill it in, with paths below our directory."""
        if "value" in variable:
            return str(variable["value"]).replace(MOUNTED, str(self.root)).replace("/var/lib", str(self.root))
        source = variable["valueFrom"]
        if "fieldRef" in source:
            assert source["fieldRef"]["fieldPath"] == "metadata.name"
            return self._name
        assert source["resourceFieldRef"]["resource"] == "limits.memory"
        return str(int(self.container["resources"]["limits"]["memory"].removesuffix("Gi")) << 30)
