"""Lanes: which partition is late, why, and how full it is.

Knows which metrics answer that, and that there may be hundreds of lanes: of single ones only the worst are drawn. Must
not know how panels are drawn.
"""

from __future__ import annotations

from deploy.grafana.board import Board, Section, choice
from deploy.grafana.panels import GREY, ORANGE, RED, YELLOW, Column, Panel, Query, Steps, Text, curves, rows, tile
from deploy.grafana.promql import LANE, PROCESS, WINDOW, growth, most, named_or, series, total, worst

CHOSEN = ('topic=~"$topic"', 'partition=~"$partition"')
REPLAYS = 'topic=~".*genie[.]replay[.]requests"'  # whatever the prefix
DRAWN = 10
LISTED = 30
LATE_S = ((60, YELLOW), (300, RED))
FULL = ((0.8, YELLOW), (0.99, RED))


def _lane(metric: str, *matchers: str) -> str:
    """One value for each lane; while it moves from one process to another, the greater."""
    return most(series(f"gateway_lane_{metric}", *CHOSEN, *matchers), *LANE)


def _share(part: str, whole: str) -> str:
    return f"{_lane(part)} / {_lane(whole)}"


def _speed() -> str:
    """Records a second by which the watermark moves; it is a gauge, and falls only with what is in Kafka."""
    watermark = series("gateway_lane_watermark_offset", *CHOSEN)
    return f"clamp_min({most(f'deriv({watermark}[{WINDOW}])', *LANE)}, 0)"


def _drawn(expression: str) -> str:
    return worst(DRAWN, expression, LANE)


def _listed(expression: str) -> str:
    """Of the lanes that are latest now: the same ones in every column."""
    return f"{expression} and on ({', '.join(LANE)}) topk({LISTED}, {_lane('lag_seconds')})"


def _all() -> list[Panel]:
    def count(text: Text, metric: str, *, bad: str = RED) -> Panel:
        counted = total(series(f"gateway_lane_{metric}", *CHOSEN))
        return tile(text, Query(counted), unit="none", width=4, steps=((1, bad),), nothing="no lanes")

    return [
        tile(
            Text(
                "Lanes open",
                "Partitions that a process of those chosen has, the lane for replays too.",
                "#a-lane-in-status",
            ),
            Query(f"count({_lane('stopped')})"),
            unit="none",
            width=4,
            nothing="none",
        ),
        count(Text("Stopped", "They send nothing: a configuration is wrong.", "#a-lane-has-stopped"), "stopped"),
        count(
            Text("Wait for the registry", "They can read nothing.", "#the-schema-registry-is-away"), "awaits_registry"
        ),
        count(Text("Closing", "They drain, for a rebalance or the end of their process."), "closing", bad=YELLOW),
        count(
            Text(
                "Late records",
                "Appended 300 s ago or earlier and not settled: the promise is broken for each of them.",
                "#look-first",
            ),
            "overdue_records",
        ),
        tile(
            Text("Oldest", "Age of the oldest record that is not settled, of the worst lane.", "#look-first"),
            Query(f"max({_lane('lag_seconds')})"),
            unit="s",
            width=4,
            steps=LATE_S,
        ),
    ]


def _worst() -> list[Panel]:
    return [
        rows(
            Text(
                f"The {LISTED} latest lanes",
                "Now. `gateway lanes show` says what each waits for; a lane can be late without being stuck, as one "
                "slow record keeps its watermark while others pass.",
                "#a-lane-in-status",
            ),
            Column("late by", _listed(_lane("lag_seconds")), "s", LATE_S),
            Column("lag", _listed(_lane("lag_records")), "short"),
            Column("late records", _listed(_lane("overdue_records")), "short", ((1, RED),)),
            Column("taken", _listed(_lane("unsettled_records")), "short"),
            Column("in flight", _listed(_lane("records", 'state="in_flight"')), "short"),
            Column("window", _listed(_share("window_span_offsets", "window_limit_offsets")), "percentunit", FULL),
            Column("bytes", _listed(_share("window_bytes", "window_bytes_limit")), "percentunit", FULL),
            Column("batches", _listed(_lane("live_intents")), "short"),
            Column("stopped", _listed(_lane("stopped")), "none", ((1, RED),)),
            keys={"topic": "topic", "partition": "partition"},
            width=24,
            height=9,
        ),
        _curve(
            "Late by", "Age of the first record that is not settled, taken or not.", _lane("lag_seconds"), "s", LATE_S
        ),
        _curve("Lag", "Records between watermark and end.", _lane("lag_records"), "short"),
        _curve(
            "Speed",
            "How fast the watermark moves; what is settled out of order counts when the gap before it closes.",
            _speed(),
            "eps",
        ),
    ]


def _curve(title: str, description: str, expression: str, unit: str, steps: Steps = ()) -> Panel:
    text = Text(
        title,
        f"{description} The {DRAWN} lanes for which it is most at the end of the time shown.",
        "#a-lane-in-status",
    )
    return curves(text, Query(_drawn(expression), "{{topic}}:{{partition}}"), unit=unit, width=8, steps=steps)


def _reasons() -> list[Panel]:
    return [
        curves(
            Text(
                "What lanes wait for",
                "Lanes by what their oldest record waits for, once it waits a second.",
                "#look-first",
            ),
            Query(named_or(total(series("gateway_lane_delayed", *CHOSEN), "cause"), "cause", "nothing"), "{{cause}}"),
            unit="none",
            width=8,
            stacked=True,
        ),
        curves(
            Text(
                "Where records are",
                "Ready to be announced, in flight, waiting, being looked up, finished.",
                "#a-lane-in-status",
            ),
            Query(total(series("gateway_lane_records", *CHOSEN), "state"), "{{state}}"),
            unit="short",
            width=8,
            stacked=True,
        ),
        curves(
            Text("Announced batches", "Those with an entry that is not settled, by topic.", "#a-lane-in-status"),
            Query(total(series("gateway_lane_live_intents", *CHOSEN), "topic"), "{{topic}}"),
            unit="short",
            width=8,
        ),
    ]


def _bounds() -> list[Panel]:
    return [
        _curve(
            "Window in use",
            "Distance from watermark to position, of lane.window.",
            _share("window_span_offsets", "window_limit_offsets"),
            "percentunit",
            FULL,
        ),
        _curve(
            "Bytes in use",
            "Of the lane's share of memory_bytes.",
            _share("window_bytes", "window_bytes_limit"),
            "percentunit",
            FULL,
        ),
        _curve(
            "Fetched, not taken",
            "Bytes that Kafka has sent and the lane has no room for yet.",
            _lane("feed_bytes"),
            "bytes",
        ),
    ]


def _moves() -> list[Panel]:
    return [
        curves(
            Text("Opened", "Lanes taken over: a start, a rebalance, a doubtful commit.", "#doubtful-commits"),
            Query(total(growth("gateway_lane_openings_total"), "topic"), "{{topic}}"),
            unit="short",
            width=8,
            bars=True,
            stacked=True,
        ),
        curves(
            Text(
                "Lanes of each process",
                "Of the 20 that have most; far from equal means that the group has not settled.",
            ),
            Query(
                worst(20, f"count by ({', '.join(PROCESS)}) ({series('gateway_lane_stopped', *CHOSEN)})", PROCESS),
                "{{instance}}",
            ),
            unit="none",
            width=8,
            stacked=True,
        ),
        curves(
            Text("Replays, by outcome", "Requests of `gateway replay apply` that came to their end."),
            Query(total(growth("gateway_settled_total", REPLAYS), "outcome"), "{{outcome}}"),
            unit="short",
            width=8,
            bars=True,
            stacked=True,
            colors={"PARKED": ORANGE, "DUPLICATE": GREY},
        ),
    ]


BOARD = Board(
    name="lanes",
    title="Credit gateway: lanes",
    description="Which partition is late, what it waits for, how full it is? Of single lanes only the worst are drawn.",
    variables=(
        choice("topic", "Topic", 'gateway_lane_stopped{namespace=~"$namespace",job=~"$job"}', "topic"),
        choice(
            "partition",
            "Partition",
            'gateway_lane_stopped{namespace=~"$namespace",job=~"$job",topic=~"$topic"}',
            "partition",
        ),
    ),
    sections=(
        Section("All of them", _all()),
        Section("The worst", _worst()),
        Section("What they wait for", _reasons()),
        Section("Bounds", _bounds()),
        Section("Moves and replays", _moves()),
    ),
)
