"""A decoder that some records end, and one that forgets at once which schemas it could not use."""

import sys

from gateway.kafka import codec, http_registry, taster
from tests.promises import deadly_decoder
from tests.promises.patching import Named, replace

NAMED = Named()


@NAMED
def marked_records_end_the_process() -> None:
    """In the gateway and in its child: a fault of the decoder, not of the process that it runs in."""
    deadly_decoder.die_of_marked_records()
    replace(taster, "COMMAND", (sys.executable, "-m", deadly_decoder.__name__))


@NAMED
def unfit_schemas_are_forgotten() -> None:
    """The registry is asked again for every record, so that a test needs not wait for a minute."""
    replace(codec, "UNFIT_FOR_S", 0.0)


@NAMED
def registry_answers_within_a_second() -> None:
    """So that a test of one that never answers needs not wait for longer."""
    replace(http_registry, "ANSWER_TIMEOUT_S", 1.0)
