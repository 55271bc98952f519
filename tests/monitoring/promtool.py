"""Series as promtool's unit tests write them, and what alerts must do with them."""

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

GATEWAY = {"namespace": "ns", "job": "gw"}
Values = str


def series(metric: str, values: Values, instance: str = "a", /, **labels: str) -> tuple[str, Values]:
    """One series of a process, as input."""
    of = GATEWAY | {"instance": instance} | labels
    return f"{metric}{{{', '.join(f'{label}={json.dumps(value)}' for label, value in of.items())}}}", values


def lane(metric: str, values: Values, instance: str = "a", **labels: str) -> tuple[str, Values]:
    """One of a lane's."""
    return series(f"gateway_lane_{metric}", values, instance, **({"topic": "t", "partition": "0"} | labels))


def flat(value: float, count: int) -> Values:
    """The same for so many samples."""
    return f"{value}+0x{count - 1}"


def process(up: Values, instance: str = "a", **labels: str) -> list[tuple[str, Values]]:
    """A process that is scraped and ready so long."""
    return [
        series("up", up, instance, **labels),
        series("gateway_build_info", up, instance, version="1", replica=instance, **labels),
        series("gateway_ready", up, instance, **labels),
    ]


@dataclass(frozen=True)
class Case:
    """Samples, one each `every`, and what fires at which time: labels of the alerts -> how many of them.

    `{}`: silent. Labels are `severity` and those that `by` names.
    """

    name: str
    alert: str
    samples: list[tuple[str, Values]]
    at: Mapping[str, Mapping[str, int]]
    by: str = ""
    every: str = "1m"
    expressions: Mapping[str, tuple[str, float]] = field(default_factory=dict)  # at a time: expression, value

    def as_read(self) -> dict[str, object]:
        """As promtool reads it."""
        labels = f"severity{', ' + self.by if self.by else ''}"
        firing = f'count by ({labels}) (ALERTS{{alertname="{self.alert}",alertstate="firing"}})'
        asked = [
            {
                "expr": firing,
                "eval_time": time,
                "exp_samples": [{"labels": f"{{{found}}}", "value": count} for found, count in expected.items()],
            }
            for time, expected in self.at.items()
        ]
        asked += [
            {"expr": expr, "eval_time": time, "exp_samples": [{"labels": "{}", "value": value}]}
            for time, (expr, value) in self.expressions.items()
        ]
        inputs = [{"series": name, "values": values} for name, values in self.samples]
        return {"name": self.name, "interval": self.every, "input_series": inputs, "promql_expr_test": asked}


def _concerning(alert: str, rules: str) -> dict[str, object]:
    """The rules of one alert, and what is recorded if it needs any: the others would cost most of the time."""
    recorded, alerts = yaml.safe_load(rules)["groups"]
    chosen = [rule for rule in alerts["rules"] if rule["alert"] == alert]
    needed = recorded["rules"] if any("job:" in rule["expr"] for rule in chosen) else []
    return {"groups": [recorded | {"rules": needed}, alerts | {"rules": chosen}]}


def judge(promtool: Path, rules: str, case: Case, directory: Path) -> str:
    """What promtool finds wrong; empty if nothing."""
    (directory / "rules.yaml").write_text(json.dumps(_concerning(case.alert, rules)), "utf-8")  # YAML takes all of JSON
    test = {
        "rule_files": ["rules.yaml"],
        "evaluation_interval": case.every,
        "group_eval_order": ["gateway.recorded", "gateway.alerts"],  # else by chance, and what was recorded is too old
        "tests": [case.as_read()],
    }
    file = directory / "case.yaml"
    file.write_text(json.dumps(test), "utf-8")
    command = [promtool, "test", "rules", file]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return "" if ended.returncode == 0 else ended.stdout + ended.stderr
