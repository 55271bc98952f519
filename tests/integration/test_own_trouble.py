"""A gateway whose own machine is in trouble: what ends the process, what it waits for, what it builds again."""

import asyncio
import re
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import lmdb
import orjson
import trustme
from typer.testing import CliRunner

from gateway import schemas
from gateway.cli import app
from gateway.core.outcome import Stop
from gateway.observe.watchdog import EXIT_STATUS
from tests.faults import Where, fault
from tests.integration.chosen_records import a_consent, now_ms
from tests.integration.gateway_process import GatewayProcess
from tests.integration.gateway_world import BOUND_S, LANES, PARTITIONS, World
from tests.promises.troubles import ENOUGH_FILES, FEW_FILES

ANN, BOB, CAROL = "subject-ann", "subject-bob", "subject-carol"
UNREACHABLE, WRONG_USE = 3, 2
HOUR_S = 3_600
MANY = 400  # consents that need more room than the view has
EXPIRES_AT = "gateway_certificate_expiry_timestamp_seconds"
ENDS = ("hangs", "spins", "stopped")


# --- a process that does not run ----------------------------------------------------------------------------


@fault(
    Where.OWN,
    "the event loop hangs in a call that does not return",
    does="ends the process once it has hung for longer than the group's session; the next one goes on",
    seen="exit status 1, log line `event loop hangs, the process ends`, the stacks of all threads on standard error",
)
@fault(
    Where.OWN,
    "the event loop hangs and lets no other thread run",
    does="the interpreter's own watchdog ends the process two seconds later",
    seen="exit status 1, `Timeout` and the stacks of all threads on standard error",
)
@fault(
    Where.OWN,
    "the process is stopped for longer than its session, and goes on",
    does="its lanes have moved, so it ends; it can't write anything any more",
    seen="exit status 1, or 139 if the interpreter's watchdog trips over a thread that runs; log line "
    "`process was stopped for too long, it ends`, or the stacks on standard error",
)
async def test_a_process_that_does_not_run_ends(world: World) -> None:
    """Three processes stop running, each in its own way: all end by themselves, and a fourth one goes on."""
    await world.consent(ANN)
    patches = {"hangs": ["hangs_on_signal"], "spins": ["spins_on_signal"], "stopped": []}
    gateways = {name: world.gateway(*patches[name], instance=name) for name in ENDS}
    async with gateways["hangs"] as hangs, gateways["spins"] as spins, gateways["stopped"] as stopped:
        await world.sees(lambda: world.shared(*gateways.values()), "lanes on all")
        hangs.signal(signal.SIGUSR1)
        spins.signal(signal.SIGUSR1)
        stopped.signal(signal.SIGSTOP)
        for partition in range(PARTITIONS):
            await world.payment(ANN, partition)
        async with world.gateway(instance="four") as fourth:
            await world.settled(PARTITIONS)
            assert await hangs.end_status() == await spins.end_status() == EXIT_STATUS
            stopped.signal(signal.SIGCONT)
            # On waking both watchdogs are due; the interpreter's looks at stacks of threads that run, and may trip.
            woken = await stopped.end_status()
            assert woken in (EXIT_STATUS, -signal.SIGSEGV)
            await fourth.end_in_order()
    assert any(line["event"] == "event loop hangs, the process ends" for line in hangs.lines())
    for gateway in (hangs, spins, *([stopped] if woken == EXIT_STATUS else [])):
        assert 'File "' in gateway.log.read_text(), "the stacks"
    verdict = await world.judged()
    assert verdict.ledger_records == PARTITIONS


# --- the view's disk ----------------------------------------------------------------------------------------


def limit_files(gateway: GatewayProcess, size: int) -> None:
    """No file of this process may grow beyond this size: to it, the disk is full."""
    resource.prlimit(gateway.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


@fault(
    Where.OWN,
    "the disk of the consent view is full",
    does="sends nothing that it would decide on an older view; goes on by itself once there is room",
    seen="`gateway_consent_view_lag_records` and `gateway_fence_failures_total` grow, log line "
    "`consent view has no room on its disk and waits`",
)
async def test_a_full_disk_holds_and_goes_on(world: World) -> None:
    """A withdrawal that can't be written to the view is honoured all the same, and a consent is not lost."""
    await world.consent(ANN)
    async with world.gateway() as gateway:
        await gateway.ready(LANES)
        await world.payment(ANN)
        await world.settled(1)
        limit_files(gateway, (Path(gateway.environment["GATEWAY_VIEW__PATH"]) / "view.mdb").stat().st_size)
        await many_consents(world)
        await gateway.says("consent view has no room on its disk and waits")
        await world.withdraw(ANN)
        await world.consent(BOB)
        await world.payment(ANN)
        await world.payment(BOB)
        await world.sees(lambda: gateway.value("gateway_fence_failures_total"), "a fence that fails")
        await world.sees(lambda: gateway.value("gateway_consent_view_lag_records"), "a view that lags behind")
        assert len(world.ledger) == 1
        limit_files(gateway, resource.RLIM_INFINITY)
        await world.settled(3)
        await gateway.says("consent view has room again")
        await gateway.end_in_order()
    assert world.reasons() == ["accepted", "consent_withdrawn", "accepted"]
    await world.judged()


async def many_consents(world: World) -> None:
    subjects = [f"subject-{number:04d}" for number in range(MANY)]
    sent = [
        await world.producer.send(
            world.names.consents, key=name.encode(), value=schemas.encode("ConsentRecord", a_consent(name)), partition=0
        )
        for name in subjects
    ]
    await asyncio.gather(*sent)


def old(path: Path) -> None:
    """As if it had been left two days ago."""
    with meta(path, b"trust") as trust:
        trust[1] -= 48 * HOUR_S * 1_000


def of_another_cluster(path: Path) -> None:
    """As if it had been copied from elsewhere."""
    with meta(path, b"origin") as origin:
        origin[1] = "another-cluster"


@contextmanager
def meta(path: Path, key: bytes) -> Iterator[list[Any]]:
    """What the view notes of itself, to be changed; and a consent that the topic has never seen."""
    with lmdb.open(str(path), subdir=False, max_dbs=4) as view:
        notes, consents = view.open_db(b"meta"), view.open_db(b"consents")
        with view.begin(write=True) as transaction:
            note = orjson.loads(transaction.get(key, db=notes))
            yield note
            transaction.put(key, orjson.dumps(note), db=notes)
            transaction.put(CAROL.encode(), transaction.get(ANN.encode(), db=consents), db=consents)


@fault(
    Where.OWN,
    "the consent view on disk is damaged while the gateway runs",
    does="ends; the next start deletes the view and builds it from the topic before a lane opens",
    seen="exit status 1 or a crash, then log line `consent view is built anew` with reason `damaged` or `new`",
)
@fault(
    Where.OWN,
    "the consent view on disk was left for too long",
    does="builds it anew: tombstones may be gone from the topic",
    seen="log line `consent view is built anew` with reason `idle_too_long`",
)
@fault(
    Where.OWN,
    "the consent view on disk is of another cluster",
    does="builds it anew and believes nothing of it",
    seen="log line `consent view is built anew` with reason `other_origin`",
)
async def test_a_view_that_can_not_be_trusted_is_built_anew(world: World) -> None:
    """Each start goes on with what the topic says, and with nothing else that is in the file."""
    await world.consent(ANN)
    async with world.gateway() as first:
        await world.payment(ANN)
        await world.settled(1)
        view = Path(first.environment["GATEWAY_VIEW__PATH"]) / "view.mdb"
        with view.open("r+b") as file:
            file.write(b"x" * view.stat().st_size)
        await world.consent(BOB)
        assert await first.end_status() != 0
    for count, (spoil, reasons) in enumerate(
        (
            (lambda _: None, {"damaged", "new"}),
            (old, {"idle_too_long"}),
            (of_another_cluster, {"other_origin"}),
        ),
        start=1,
    ):
        spoil(view)
        async with world.gateway() as gateway:
            for subject in (ANN, BOB, CAROL):
                await world.payment(subject)
            await world.settled(1 + 3 * count)
            assert (await gateway.says("consent view is built anew"))["reason"] in reasons
            await gateway.end_in_order()
    assert world.reasons() == ["accepted", *["accepted", "accepted", "no_consent"] * 3]
    await world.judged()


# --- the clock ----------------------------------------------------------------------------------------------


@fault(
    Where.OWN,
    "the clock of this machine is an hour behind GeNiE's",
    does="believes nothing that GeNiE signed at such another time, stops the lanes and parks nothing",
    seen="`gateway_genie_clock_difference_seconds`, `gateway_lane_stopped`, log line `lane stopped` with code "
    "`genie_clock`; `gateway check --genie` names `genie.skew_ms`",
)
@fault(
    Where.OWN,
    "the clock of this machine is set while it runs",
    does="ends in order: what waits for a time would wait for the wrong one",
    seen="exit status 3 and `the clock of this machine was set by`",
)
async def test_a_wrong_clock_stops_and_a_clock_that_is_set_ends_it(world: World) -> None:
    """Nothing is parked, lost or sent twice over either; with the right time the next process goes on."""
    await world.consent(ANN)
    long_ago = {"occurred_at": now_ms() - 2 * HOUR_S * 1_000}
    async with world.gateway("clock_is_behind") as behind:
        await world.payment(ANN, **long_ago)
        stopped = await behind.says("lane stopped")
        assert stopped["code"] == Stop.CLOCK.value

        async def measured() -> bool:
            return abs(await behind.value("gateway_genie_clock_difference_seconds") - HOUR_S) < BOUND_S

        await world.sees(measured, "the difference of the clocks")
        assert world.ledger == world.parked == []
        await behind.end_in_order()
    async with world.gateway("clock_is_set_on_signal") as sets:
        await world.settled(1)
        sets.signal(signal.SIGUSR1)
        assert await sets.end_status() == UNREACHABLE
    assert "the clock of this machine was set by -3600" in sets.log.read_text()
    async with world.gateway() as right:
        await world.payment(ANN)
        await world.settled(2)
        await right.end_in_order()
    assert world.reasons() == ["accepted", "accepted"]
    await world.judged()


async def test_the_check_tells_how_far_the_clocks_are(world: World) -> None:
    """`gateway check --genie` names the setting and the difference, and no key."""
    world.faults(old_signature={"share": 1, "seconds": 3_600})
    ended = await asyncio.to_thread(CliRunner().invoke, app, ["check", "--genie", "--json"], env=world.settings("one"))
    (finding,) = [each for each in orjson.loads(ended.stdout)["findings"] if each["severity"] == "problem"]
    assert (ended.exit_code, finding["setting"]) == (1, "genie.skew_ms")
    assert re.search(r"differs from ours by -3(599|600)\d\d\d ms", finding["found"])


# --- what the start looks at --------------------------------------------------------------------------------


@fault(
    Where.OWN,
    "our certificate for GeNiE has expired before the start",
    does="does not start",
    seen="exit status 2, with the setting, the file, since when, and that a new one is needed",
)
@fault(
    Where.OWN,
    "the operating system allows fewer open files than may be needed",
    does="raises its own limit; if it may not, it does not start",
    seen="exit status 2, with the limit, what is needed for how many lanes, and the command that raises it",
)
@fault(
    Where.OWN,
    "our certificate for GeNiE expires soon",
    does="works with it until it ends; a new one in its place is taken without a restart",
    seen="`gateway_certificate_expiry_timestamp_seconds`, from which an alert can count the days",
)
async def test_what_would_fail_later_is_refused_at_the_start(world: World) -> None:
    """One message with both, before anything is sent; a limit that may be raised is raised, and what still holds for
    an hour does for now."""
    authority, until = trustme.CA(), datetime.now(UTC) - timedelta(days=1)
    expired = own_certificate(world, authority, until)
    async with world.gateway("few_files", **expired) as refused:
        assert await refused.end_status() == WRONG_USE
    said = refused.log.read_text()
    assert f"genie.client_cert_file: {expired['genie__client_cert_file']} has expired at {until.date()}" in said
    assert "put a new certificate there" in said
    assert f"open files: this process may open {FEW_FILES} files, but may need" in said
    assert "ulimit" in said
    trusted, soon = world.directory / "trusted.pem", datetime.now(UTC) + timedelta(hours=1)
    trusted.write_bytes(authority.cert_pem.bytes())
    world.genie.trust(trusted)
    await world.consent(ANN)
    async with world.gateway("few_files_at_first", **own_certificate(world, authority, soon)) as started:
        await started.ready(LANES)
        await world.payment(ANN)
        await world.settled(1)
        assert await started.value(EXPIRES_AT, name="genie") == int(soon.timestamp())
        assert resource.prlimit(started.pid, resource.RLIMIT_NOFILE) == (ENOUGH_FILES, ENOUGH_FILES)
        await started.end_in_order()
    await world.judged()


def own_certificate(world: World, authority: trustme.CA, until: datetime) -> dict[str, str]:
    """Settings of a gateway whose certificate ends then."""
    made = authority.issue_cert("gateway.norel.invalid", not_after=until)
    certificate, key = world.directory / "own.pem", world.directory / "own.key"
    certificate.write_bytes(made.cert_chain_pems[0].bytes())
    key.write_bytes(made.private_key_pem.bytes())
    return {"genie__client_cert_file": str(certificate), "genie__client_key_file": str(key)}
