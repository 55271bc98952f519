"""A topic that the gateway writes to or decides by, deleted under it; input topics are in test_offsets_trouble.py."""

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from tests.faults import Where, fault
from tests.integration.chosen_records import now_ms
from tests.integration.deleted_topics import delete, make_anew
from tests.integration.gateway_process import GatewayProcess
from tests.integration.gateway_world import LANES, World
from tests.integration.waiting import until

ANN = "subject-ann"
HOUR_MS = 3_600_000
WRONG_USE, UNREACHABLE = 2, 3
END_S = 60.0  # two transactions that can't be written, or a view that can't be read

OF_THE_VERIFIER = {"ledger", "consents"}  # what it would compare with the first payment is deleted

pytestmark = pytest.mark.long


def written_to(name: str, what: str) -> object:
    return pytest.param(
        name,
        id=name,
        marks=fault(
            Where.KAFKA,
            f"the topic of {what} is deleted",
            does="ends after the second transaction that can't be written, and does not start before the topic is "
            "there again; then settles what waited",
            seen='`gateway_doubtful_commits_total{step="produce"}`; exit status 3, then 2 with `topic is missing`',
        ),
    )


@pytest.mark.parametrize(
    "name",
    [written_to("ledger", "ledger records"), written_to("intents", "intents"), written_to("parked", "parked events")],
)
async def test_a_topic_that_it_writes_to(world: World, admin: AIOKafkaAdminClient, name: str) -> None:
    """Nothing is taken for settled that is not written; what is not settled waits for the new topic."""
    parks = name == "parked"
    async with world.gateway(lane__drain_ms="1000") as gateway:
        await provides(world, gateway)
        await delete(admin, getattr(world.names, name))
        offset = await world.payment(ANN, **({"occurred_at": now_ms() + HOUR_MS} if parks else {}))
        await gateway.says("doubtful commit, the lane opens again")
        assert await gateway.value("gateway_doubtful_commits_total", step="produce") == 1
        await ends(gateway, UNREACHABLE)
    await goes_on(world, name, offset)
    assert world.reasons()[-1] == ("future_event" if parks else "accepted")


def decided_by(name: str, what: str) -> object:
    return pytest.param(
        name,
        id=name,
        marks=fault(
            Where.KAFKA,
            f"the topic of {what} is deleted",
            does="sends nothing more, ends, and does not start before the topic is there again; then it believes only "
            "what is in the new one",
            seen="log line `consent fence failed, nothing is sent`, `gateway_fence_failures_total`; exit status 2 with "
            "`no such topic`, then with `topic is missing`",
        ),
    )


@pytest.mark.parametrize("name", [decided_by("consents", "consent records"), decided_by("controls", "controls")])
async def test_a_topic_that_it_decides_by(world: World, admin: AIOKafkaAdminClient, name: str) -> None:
    """What the view still remembers is no proof any more."""
    async with world.gateway(lane__drain_ms="1000") as gateway:
        await provides(world, gateway)
        await delete(admin, getattr(world.names, name))
        offset = await world.payment(ANN)
        await gateway.says("consent fence failed, nothing is sent")
        assert await gateway.value("gateway_fence_failures_total") >= 1
        await ends(gateway, WRONG_USE)
    assert f"no such topic: {getattr(world.names, name)}" in gateway.end()
    assert len(world.received()) == 1
    await goes_on(world, name, offset)
    assert world.reasons()[-1] == ("no_consent" if name == "consents" else "accepted")


async def provides(world: World, gateway: GatewayProcess) -> None:
    """It works."""
    await world.consent(ANN)
    await gateway.ready(LANES)
    await world.payment(ANN)
    await world.settled(1)


async def ends(gateway: GatewayProcess, status: int) -> None:
    await until(lambda: gateway.ended, END_S, "its end")
    assert await gateway.end_status() == status, gateway.end()


async def goes_on(world: World, name: str, offset: int) -> None:
    """Once the topic is there again, and not before."""
    async with world.gateway() as refusing:
        await ends(refusing, WRONG_USE)
    assert f"{getattr(world.names, name)}: topic is missing" in refusing.end()
    await make_anew(world)
    async with world.gateway() as again:
        await again.ready(LANES)
        await world.sees(lambda: world.has_settled(offset), "what waited")
        await again.end_in_order()
    if name not in OF_THE_VERIFIER:
        await world.judged()
