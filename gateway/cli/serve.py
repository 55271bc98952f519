"""`gateway serve`: run one process of the gateway."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.cli.answers import AsJson
from gateway.cli.errors import CommandError, Exit


def serve(as_json: AsJson = False) -> None:
    """Run the gateway until SIGTERM or Ctrl-C. Settings come from the environment and GATEWAY_CONFIG.

    Its log is JSON in any case; with --json the error that ends it is too.

    Example: GATEWAY_CONFIG=gateway.toml gateway serve
    """
    import asyncio

    import uvloop

    from gateway import app, preflight
    from gateway.observe import logs

    async def run() -> None:
        loaded = preflight.settings_in_full()
        logs.configure(loaded.observe.log_level)
        await app.Gateway(loaded).run()

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(run())
    except Exception as error:
        status = _status(error)
        if status is None:  # a defect: its traceback is for a developer
            raise
        raise CommandError(status, str(error)) from error


def _status(error: Exception) -> Exit | None:
    """How it ends with this error; None if nobody expected it."""
    from gateway.findings import NotReadyError

    if isinstance(error, NotReadyError):
        return Exit.UNREACHABLE if error.only_away else Exit.WRONG_USE
    return next((status for status, errors in _expected().items() if isinstance(error, errors)), None)


def _expected() -> Mapping[Exit, tuple[type[Exception], ...]]:
    """What may end it, the first that fits: a refusal of Kafka is also one of its failures to answer."""
    from gateway.app import StartError
    from gateway.core.lane import ContradictionError
    from gateway.kafka.cluster import TopicMissingError
    from gateway.kafka.connection import KafkaRefusedError, KafkaUnavailableError
    from gateway.kafka.consent_view import ViewFailedError
    from gateway.kafka.lane_driver import LaneFailedError
    from gateway.kafka.membership import InstanceIdTakenError, MembershipLostError
    from gateway.kafka.opening import LaneRefusedError
    from gateway.kafka.registry import NotRegisteredError, RegistryAway
    from gateway.kafka.source import PositionLostError
    from gateway.kafka.taster import TasterFailedError
    from gateway.kafka.transactions import Doubtful
    from gateway.kafka.view_store import ViewDamagedError
    from gateway.lookout import ClockSetError

    return {
        Exit.WRONG_USE: (
            *(StartError, InstanceIdTakenError, KafkaRefusedError),
            *(LaneRefusedError, NotRegisteredError, TopicMissingError),
        ),
        Exit.FOUND_WRONG: (ContradictionError, PositionLostError, ViewDamagedError),
        Exit.UNREACHABLE: (
            *(KafkaUnavailableError, RegistryAway, Doubtful, LaneFailedError),
            *(MembershipLostError, TasterFailedError, ViewFailedError, ClockSetError),
        ),
    }
