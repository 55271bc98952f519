"""How many files and connections this process may have open at once, and how many it may need.

Knows the limit of the operating system. Must not know what is open. Without room a connection fails at some moment
under load, so it is looked at before the first one is made.
"""

from __future__ import annotations

import resource

SPARE = 128  # logs, the view, health clients, files that are read, connections that are closing
OWN_CLIENTS = 6  # of Kafka, beside the lanes' producers: view, fence, inputs, replays and two more for a moment
PER_BROKER = 2  # connections of one client: to a broker as such, and to it as a coordinator


def needed(*, genie_connections: int, lanes: int, brokers: int) -> int:
    """The most that are open at once, if this process owns all lanes and changes its certificate meanwhile."""
    return SPARE + 2 * genie_connections + (lanes + OWN_CLIENTS) * brokers * PER_BROKER


def make_room(count: int) -> int | None:
    """Raise our own limit as far as it may be raised; the limit, if that is not enough."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if _at_least(soft, count):
        return None
    if not _at_least(hard, count):
        return hard
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count if hard == resource.RLIM_INFINITY else hard, hard))
    except (OSError, ValueError):  # some systems have another limit above it
        return soft
    return None


def _at_least(limit: int, count: int) -> bool:
    return limit == resource.RLIM_INFINITY or limit >= count
