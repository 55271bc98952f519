"""The memory budget of a process: one number, memory_bytes, and how it is shared out among what keeps records.

Knows what each part may take at most, measured or bounded by the constants of its room. Must not know who keeps what,
or why. What LMDB maps of the consent view is not counted: the kernel takes that back when it needs it.
docs/explanation/bounds.md lists every queue with its bound and its metric.
"""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1 << 20
# Interpreter, libraries and schemas 85; consents remembered 48; the view's fetches and what consents have in common 16;
# writers' schemas 32; the rest is what the allocator keeps for itself.
PROCESS_BYTES = 192 * MIB
# At its worst, measured: libraries 9; the rest is 2,048 records followed, with 8 requests each, and 1,024 spans queued,
# all of them requests about 128 traced records.
TRACING_BYTES = 80 * MIB
CONNECTION_BYTES = MIB + MIB // 8  # the longest answer of GeNiE's, and the buffers of one connection
LEAST_FOR_LANES_BYTES = 32 * MIB
LEAST_WINDOW_BYTES = MIB  # twice the largest record
LEAST_FEED_BYTES = MIB // 4
MOST_FEED_BYTES = 4 * MIB
# The rest of a lane's share: what is fetched and not yet in the feed, the transaction that is being written, and
# what estimates of decoded records are wrong by.
WINDOW_SHARE = 1 / 2
FEED_SHARE = 1 / 8


@dataclass(frozen=True, slots=True)
class Share:
    """What one lane may keep, in bytes."""

    window: int  # decoded records, estimated
    feed: int  # records as they came, that wait to be decoded


def fixed_bytes(connections: int, *, traced: bool = False) -> int:
    """What a process takes that has no lanes."""
    return PROCESS_BYTES + connections * CONNECTION_BYTES + traced * TRACING_BYTES


def least_bytes(connections: int, *, traced: bool = False) -> int:
    """The least budget with which lanes can work."""
    return fixed_bytes(connections, traced=traced) + LEAST_FOR_LANES_BYTES


def share(memory_bytes: int, connections: int, window_bytes: int, lanes: int, *, traced: bool = False) -> Share:
    """What each of so many lanes may keep; `window_bytes` is the most that a lane uses well."""
    of_lane = (memory_bytes - fixed_bytes(connections, traced=traced)) / max(1, lanes)
    window = min(window_bytes, max(LEAST_WINDOW_BYTES, int(of_lane * WINDOW_SHARE)))
    feed = min(MOST_FEED_BYTES, max(LEAST_FEED_BYTES, int(of_lane * FEED_SHARE)))
    return Share(window, feed)
