"""`gateway serve`: run one process of the gateway."""

from __future__ import annotations

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
    from gateway.core.lane import ContradictionError
    from gateway.findings import NotReadyError
    from gateway.kafka.cluster import TopicMissingError
    from gateway.kafka.connection import KafkaRefusedError, KafkaUnavailableError
    from gateway.kafka.consent_view import ViewFailedError
    from gateway.kafka.lane_driver import LaneFailedError
    from gateway.kafka.opening import LaneRefusedError
    from gateway.kafka.registry import NotRegisteredError, RegistryAway
    from gateway.kafka.source import InstanceIdTakenError, MembershipLostError, PositionLostError
    from gateway.kafka.taster import TasterFailedError
    from gateway.kafka.transactions import Doubtful
    from gateway.kafka.view_store import ViewDamagedError
    from gateway.lookout import ClockSetError
    from gateway.observe import logs

    wrong = (
        app.StartError,
        InstanceIdTakenError,
        KafkaRefusedError,
        LaneRefusedError,
        NotRegisteredError,
        TopicMissingError,
    )
    contradictory = (ContradictionError, PositionLostError, ViewDamagedError)
    away = (
        *(KafkaUnavailableError, RegistryAway, Doubtful, LaneFailedError),
        *(MembershipLostError, TasterFailedError, ViewFailedError, ClockSetError),
    )

    async def run() -> None:
        loaded = preflight.settings_in_full()
        logs.configure(loaded.observe.log_level)
        await app.Gateway(loaded).run()

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(run())
    except NotReadyError as error:
        raise CommandError(Exit.UNREACHABLE if error.only_away else Exit.WRONG_USE, str(error)) from error
    except wrong as error:
        raise CommandError(Exit.WRONG_USE, str(error)) from error
    except contradictory as error:
        raise CommandError(Exit.FOUND_WRONG, str(error)) from error
    except away as error:
        raise CommandError(Exit.UNREACHABLE, str(error)) from error
