"""Only allow-listed items leave; logs, metrics, parked records and the ledger hold no personal data values."""

from gateway import schemas
from tests.integration.chosen_records import a_payment, a_score
from tests.integration.gateway_world import World
from tests.integration.promises.proof import PLAIN, Removed, also_without, judge

ANN, BOB = "subject-ann", "subject-bob"


@also_without(("unregistered_inputs", "library_logs", "unchecked_keys"))
async def test_promise_6_only_allowed_items_leave(world: World, removed: Removed) -> None:
    """Personal values come in by every door and turn up in no body, log, metric, ledger or parked record."""
    payment = schemas.encode("LeasePaymentEvent", a_payment(ANN))
    await world.consent(ANN)
    async with world.gateway(*removed) as gateway:
        await world.payment(ANN)
        await world.score(ANN, inputs=a_score(ANN)["inputs"])
        await world.write(world.names.payments, a_payment(ANN)["customer"]["phone"], payment)
        await world.write(world.names.payments, a_payment(ANN)["customer"]["name"], payment)
        await world.write(world.names.payments, BOB, payment)
        await world.write(world.names.payments, ANN, payment + b"\x00")
        await world.settled(6)
        world.faults(entry_rejected={"share": 1})
        await world.payment(ANN, partition=1)
        await world.settled(7)
        if removed == PLAIN:
            await world.save_metrics(gateway)
        gateway.terminate()
        await gateway.end_status()
    verdict = await world.verdict(examples=1_000)
    judge(verdict, removed, breaks="leaked_fields")
    if removed != PLAIN:  # each of the three is noticed
        places = {example.where.partition(":")[0] for example in verdict.examples["leaked_fields"]}
        assert places == {world.genie.receipts.name, gateway.log.name, world.names.ledger}
