"""For those who write to the gateway's inputs, billing above all: build an event, see what is wrong with it, send it.

Needs none of the gateway's own parts (no settings, views, metrics or HTTP). docs/producers.md shows how to use it.
"""

from gateway.producer.check import Checked, InvalidEventError, check, check_event, kind_of
from gateway.producer.events import Customer, Event, LeasePayment, NorelScore, ScoreInput, Vehicle
from gateway.producer.sending import Place, Producer, SendError, UnreachableError
from gateway.producer.shape import Mistake

__all__ = [
    "Checked",
    "Customer",
    "Event",
    "InvalidEventError",
    "LeasePayment",
    "Mistake",
    "NorelScore",
    "Place",
    "Producer",
    "ScoreInput",
    "SendError",
    "UnreachableError",
    "Vehicle",
    "check",
    "check_event",
    "kind_of",
]
