"""Every alert is fired by a real fault: a real Prometheus scrapes real gateways while what is around them misbehaves.

The rules are the shipped ones with shorter durations; those of the shipped file are judged by test_rules.py. One Kafka,
one Prometheus and three gateways, each through a story of its own, at the same time.
"""

import asyncio
import json
import subprocess
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway import __version__, schemas
from gateway.core.delays import Delay
from gateway.core.holds import HoldScope
from gateway.core.outcome import Stop
from gateway.core.reasons import Outcome, Reason
from gateway.kafka.connection import KafkaConnection
from gateway.kafka.opening import LaneName
from gateway.kafka.transactions import LaneProducer
from gateway.kafka.view_reader import ViewCounts
from gateway.observe import rules
from gateway.observe.genie_metrics import ANSWER_KINDS
from gateway.observe.metrics import reference
from gateway.observe.rules import PAGE, TICKET, Burn, Timing
from gateway.sandbox import pki as pkis
from gateway.sandbox.broker.node import free_port
from tests.integration.chosen_records import a_payment, now_ms
from tests.integration.gateway_process import GatewayProcess
from tests.integration.gateway_world import LANES, World
from tests.integration.schema_registry import SchemaRegistry
from tests.monitoring.prometheus import Prometheus
from tests.promises.hurry import LATE_MS

pytestmark = pytest.mark.integration

TIMING = Timing(
    burns=(Burn(PAGE, 14.4, "20s", "5s"), Burn(TICKET, 1, "30s", "10s")),
    least_late=3,
    burn_for="1s",
    known="5m",
    again="12s",  # a fence fails every 5 s
    repeated="1s",
    lasting="2s",
    cause="1s",
    hour="2m",
    many=2,
    starts=0,
    view_old_s=3,
    stuck_s=2,
    stuck="4s",
    behind_s=1,
    growing="4s",
    breaker="4s",
    doubts="10s",
    doubts_for="1s",
    hold="2s",
    hold_of_subject="3s",
    objective=f"{LATE_MS / 1000:.1f}",
)
SUBJECT = "subject-one"
REFUSED = "refused"  # jobs, by what happens to them
OUTAGE = "outage"
INPUTS = "inputs"
PATCHES = {
    INPUTS: ["late_soon"],
    OUTAGE: ["late_soon", "gives_up_soon"],
    REFUSED: ["late_soon", "stops_are_short", "looks_often"],
}
LEFT = {OUTAGE: timedelta(days=14), REFUSED: timedelta(days=3)}  # of the gateway's certificate
HEALTHY = {(OUTAGE, "GatewayCertificateEnds", TICKET), (REFUSED, "GatewayCertificateEnds", PAGE)}
UNKNOWN_SCHEMA_ID = 301
TRICKLE_S = 0.3  # between two payments of a load that never ends


class Stage:
    """One gateway in a world of its own, and the Prometheus that all of them share."""

    def __init__(self, job: str, world: World, registry: str | None) -> None:
        self.job = job
        self.world = world
        self.port = free_port()
        self._registry = registry
        self.prometheus: Prometheus

    def gateway(self) -> GatewayProcess:
        """To be started; again at the same address."""
        settings = {"observe__port": str(self.port), "schemas__registry_url": self._registry}
        return self.world.gateway(*PATCHES[self.job], **{n: v for n, v in settings.items() if v is not None})

    async def fires(self, *alerts: str, severity: str = TICKET) -> None:
        for alert in alerts:
            await self.prometheus.fires(self.job, alert, severity)

    async def some_payments(self, count: int = 4, **changes: object) -> None:
        """In both partitions."""
        for number in range(count):
            await self.world.payment(SUBJECT, number % 2, **changes)


def a_world(kafka: str, directory: Path, left: timedelta | None) -> World:
    """To be entered; the gateway's certificate ends so soon."""
    directory.mkdir()
    if left is not None:
        pkis.make(directory / "genie" / "pki", client_ends=datetime.now(UTC) + left)
    return World(kafka, f"t{uuid.uuid4().hex[:8]}.", directory)


@asynccontextmanager
async def trickle(stage: Stage) -> AsyncIterator[None]:
    """Payments without end, while it lasts."""

    async def write() -> None:
        while True:
            await stage.some_payments(2)
            await asyncio.sleep(TRICKLE_S)

    writing = asyncio.create_task(write())
    try:
        yield
    finally:
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)


async def test_every_alert_is_fired_by_a_real_fault(kafka: str, tool: Callable[[str], Path], tmp_path: Path) -> None:
    """Healthy gateways fire none, but for certificates that do end soon; then each fault fires its own."""
    prometheus = tool("prometheus")
    async with AsyncExitStack() as stack, SchemaRegistry() as registry:
        worlds = {job: a_world(kafka, tmp_path / job, LEFT.get(job)) for job in PATCHES}
        await asyncio.gather(*map(stack.enter_async_context, worlds.values()))
        stages = {job: Stage(job, world, registry.url if job == INPUTS else None) for job, world in worlds.items()}
        gateways = {job: await stack.enter_async_context(stage.gateway()) for job, stage in stages.items()}
        targets = {job: f"127.0.0.1:{stage.port}" for job, stage in stages.items()}
        watching = Prometheus(prometheus, rules.render(TIMING), targets, tmp_path)
        for job, stage in stages.items():
            await gateways[job].ready(LANES)
            await stage.world.consent(SUBJECT)
            await stage.some_payments()
        for stage in stages.values():
            await stage.world.settled(4)
            stage.prometheus = watching
        async with watching:
            await watching.settles(HEALTHY)
            page = await gateways[INPUTS].metrics()
            await asyncio.to_thread(look_at_page, page, stages[INPUTS].world, tool("promtool"))
            await asyncio.gather(
                bad_inputs(stages[INPUTS], gateways[INPUTS], registry),
                outage(stages[OUTAGE]),
                refusals(stages[REFUSED], gateways[REFUSED]),
            )
    fired = {(alert, severity) for _, alert, severity in watching.seen}
    assert fired == {(rule.alert, rule.severity) for rule in rules.alerts(TIMING)}
    for alert in watching.seen.values():
        shown = json.dumps([alert["labels"], alert["annotations"]])
        assert not any(word in shown for word in ("<error", "<no value>", "subject-", "{{")), shown


def look_at_page(page: bytes, world: World, promtool: Path) -> None:
    """What a gateway at work shows is as Prometheus wants it, and labels have values of closed sets alone."""
    looked = subprocess.run([promtool, "check", "metrics"], input=page, capture_output=True, check=False)
    assert (looked.returncode, looked.stdout + looked.stderr) == (0, b"")
    labels = {name: set(labels) for name, _, labels, _ in reference()}
    closed = {
        "topic": {world.names.payments, world.names.scores, world.names.replays},
        "partition": {"0", "1"},
        "reason": {reason.code for reason in Reason},
        "outcome": {outcome.value for outcome in Outcome},
        "code": {stop.value for stop in Stop},
        "cause": {delay.value for delay in Delay},
        "scope": {scope.value for scope in HoldScope},
        "producer": set(),  # no record names one
        "state": {"ready", "in_flight", "waiting", "looking_up", "finished"},
        "step": {"produce", "commit"},
        "result": {"answered", "unanswered"},
        "partner": {"genie", "kafka"},
        "name": {"genie", "genie_ca"},
        "version": {__version__},
        "replica": {"one"},
        "key_id": {pkis.NOREL_ED25519_ID},
    }
    kinds = {*ANSWER_KINDS, *(field.name for field in fields(ViewCounts))}
    for family in text_string_to_metric_families(page.decode()):
        for sample in (sample for sample in family.samples if sample.name.startswith("gateway_")):
            declared = labels.get(family.name) or labels.get(f"{family.name}_total") or set()
            assert set(sample.labels) - {"le"} == declared, sample
            for label, value in sample.labels.items():
                assert label == "le" or value in (kinds if label == "kind" else closed[label]), sample


async def bad_inputs(stage: Stage, gateway: GatewayProcess, registry: SchemaRegistry) -> None:
    """Wrong records, contradicting consents, a stranger in a lane's place, a GeNiE that only says `retry`, no registry,
    an open transaction on the consents; at last kill -9.
    """
    world = stage.world
    for number in range(TIMING.many + 1):
        await world.write(
            world.names.payments, "subject-other", schemas.encode("LeasePaymentEvent", a_payment(SUBJECT))
        )
        await world.write(world.names.payments, SUBJECT, b"no record")
        await world.consent(f"subject-odd-{number}", policy_version=1)
        await world.payment(f"subject-odd-{number}")
    for version in (2, 1):
        await world.consent("subject-back", consent_version=version)
    await stage.fires("GatewayParkedGrows", "GatewayInvalidGrows", "GatewayWithholdsOddly", "GatewayConsentsContradict")

    lane = LaneName(world.group, world.names.payments, 0)
    stranger = LaneProducer(KafkaConnection(world.kafka, "stranger"), lane.transactional_id)
    await stranger.take_over()
    await stranger.drop()
    await stage.some_payments()
    await stage.fires("GatewayDoubtfulCommits")

    world.faults(entry_retry={"share": 1})
    await stage.some_payments()
    await stage.fires("GatewayLaneStuck", severity=PAGE)
    world.faults()

    await registry.stop()
    unknown = schemas.encode("LeasePaymentEvent", a_payment(SUBJECT), UNKNOWN_SCHEMA_ID)
    await world.write(world.names.payments, SUBJECT, unknown)
    await stage.fires("GatewayRegistryAway", severity=PAGE)

    async with world.open_consent_transaction(), trickle(stage):
        await stage.fires("GatewayFenceFails", severity=PAGE)
        await stage.fires("GatewayConsentViewStale")

    gateway.kill()
    await stage.fires("GatewayProcessFails")
    await stage.fires("GatewayNoneServes", severity=PAGE)


async def outage(stage: Stage) -> None:
    """GeNiE takes requests and answers nothing, lookups neither, while payments come in."""
    stage.world.faults(hang_before_accepting={"share": 1})
    async with trickle(stage):
        await stage.fires("GatewaySettlesLate", severity=PAGE)
        await stage.fires("GatewaySettlesLate", "GatewayBreakerOpen", "GatewayLagGrows", "GatewayOutcomesUnknown")


async def refusals(stage: Stage, gateway: GatewayProcess) -> None:
    """GeNiE knows our key no more, a key file is replaced by something else, a hold is forgotten, a control record is
    none; at last a restart.
    """
    world = stage.world
    world.faults(client_error={"share": 1, "status": 403, "signed": True})
    await stage.some_payments()
    await stage.fires("GatewayLaneStopped", severity=PAGE)

    key = world.genie.pki.norel_ed25519
    kept = key.read_bytes()
    key.write_bytes(b"no key")
    await stage.fires("GatewayCredentialChangeRefused")
    key.write_bytes(kept)

    hold_id = str(uuid.uuid4())
    hold = {"hold_id": hold_id, "scope": "event_type", "value": "norel_score_update", "state": "held"}
    why = {"operator": "on-call", "reason": "test", "ticket": "T-1", "at": now_ms(), "expires_at": None}
    await world.write(world.names.controls, hold_id, schemas.encode("Control", hold | why))
    await stage.fires("GatewayHoldForgotten")
    await world.write(world.names.controls, "hold-1", b"no control record")
    await stage.fires("GatewayControlUnreadable", severity=PAGE)

    gateway.kill()
    await gateway.end_status()
    async with stage.gateway():
        await stage.fires("GatewayRestarts")
