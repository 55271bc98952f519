"""What must fire the alerts of processes and lanes, and what must not."""

from tests.monitoring.promtool import Case, flat, lane, process, series

PAGE, TICKET = 'severity="page"', 'severity="ticket"'

NONE_SERVES = [
    Case(
        "all of them end",
        "GatewayNoneServes",
        [s for i in "ab" for s in process(f"{flat(1, 10)} stale", i)],
        {"12m": {}, "16m": {PAGE: 1}},
    ),
    Case(
        "its name is known for a day",
        "GatewayNoneServes",
        [*process(f"{flat(1, 2)} stale"), ("other", flat(1, 40))],
        {"20h": {f'{PAGE}, job="gw"': 1}, "30h": {PAGE: 1}},
        by="job",
        every="1h",
    ),
    Case("none was ever seen", "GatewayNoneServes", [("other", flat(1, 10))], {"4m": {}, "6m": {PAGE: 1}}),
    Case(
        "they run, but are not ready",
        "GatewayNoneServes",
        [*process(flat(1, 20))[:2], series("gateway_ready", flat(0, 20))],
        {"4m": {}, "6m": {PAGE: 1}},
    ),
    Case(
        "one of two is enough, and a rolling update of the only one takes less",
        "GatewayNoneServes",
        [
            *process(f"{flat(1, 10)} stale"),
            *process(flat(1, 40), "b"),
            *(
                (name.replace('job="gw"', 'job="alone"'), values)
                for name, values in process(f"1+0x9 _x3 {flat(1, 27)}")
            ),
        ],
        {"14m": {}, "18m": {}, "39m": {}},
    ),
    Case(
        "another gateway does not stand in for it",
        "GatewayNoneServes",
        [
            *process(f"{flat(1, 10)} stale"),
            *process(flat(1, 40), job="other"),
        ],
        {"20m": {f'{PAGE}, job="gw"': 1}},
        by="job",
    ),
]

PROCESS_FAILS = [
    Case(
        "it is scraped in vain",
        "GatewayProcessFails",
        [
            *process(f"{flat(1, 10)} stale")[1:],
            series("up", f"{flat(1, 10)} {flat(0, 40)}"),
        ],
        {"20m": {}, "26m": {TICKET: 1}, "45m": {TICKET: 1}},
    ),
    Case(
        "it is not ready, and then can't be scraped either: one and the same trouble",
        "GatewayProcessFails",
        [
            series("gateway_build_info", f"{flat(1, 12)} stale"),
            series("gateway_ready", f"{flat(0, 12)} stale"),
            series("up", f"{flat(1, 12)} {flat(0, 10)}"),
        ],
        {"14m": {}, "16m": {TICKET: 1}},
    ),
    Case(
        "it was taken away, or starts; and what is no gateway is none of ours",
        "GatewayProcessFails",
        [
            *process(f"{flat(1, 10)} stale"),
            series("gateway_ready", f"{flat(0, 10)} {flat(1, 30)}", "b"),
            series("up", flat(0, 40), "c", job="something-else"),
        ],
        {"16m": {}, "30m": {}},
    ),
]

RESTARTS = [
    Case(
        "it starts again and again",
        "GatewayRestarts",
        [*process(flat(1, 60))[1:2], series("process_start_time_seconds", "0+0x5 10+0x4 20+0x4 30+0x4 40+0x30")],
        {"19m": {}, "22m": {TICKET: 1}, "45m": {TICKET: 1}},
    ),
    Case(
        "a rolling update of many is one start of each",
        "GatewayRestarts",
        [
            sample
            for name in "abcdef"
            for sample in (
                *process(flat(1, 30), name)[1:2],
                series("process_start_time_seconds", "0+0x10 10+0x18", name),
            )
        ],
        {"15m": {}, "29m": {}},
    ),
]

LANE_STOPPED = [
    Case(
        "GeNiE refuses for minutes: the code is told",
        "GatewayLaneStopped",
        [
            series("gateway_lane_stops_total", "0+0x4 2+2x20", code="genie_forbidden"),
            series("gateway_lane_stops_total", flat(0, 26), code="genie_clock"),
        ],
        {"6m": {}, "10m": {f'{PAGE}, code="genie_forbidden"': 1}},
        by="code",
    ),
    Case(
        "once, or before a restart, is not again and again",
        "GatewayLaneStopped",
        [
            series("gateway_lane_stops_total", f"0+0x4 {flat(1, 20)}", code="genie_forbidden"),
            series("gateway_lane_stops_total", f"{flat(50, 5)} {flat(0, 20)}", "b", code="genie_forbidden"),
        ],
        {"6m": {}, "8m": {}, "12m": {}},
        by="code",
    ),
]


def stuck(**more: str) -> list[tuple[str, str]]:
    """A lane that does not move for twenty minutes from 10m on, while its first record grows old."""
    return [
        lane("lag_seconds", f"{flat(0, 10)} 0+60x30", **more),
        lane("watermark_offset", f"0+10x9 {flat(90, 31)}", **more),
        lane("position_offset", f"0+10x9 {flat(95, 31)}", **more),
        lane("awaits_registry", flat(0, 40), **more),
    ]


LANE_STUCK = [
    Case("nothing explains it", "GatewayLaneStuck", stuck(), {"22m": {}, "27m": {PAGE: 1}}),
    Case(
        "its records are not late yet",
        "GatewayLaneStuck",
        [*(s for s in stuck() if "lag" not in s[0]), lane("lag_seconds", flat(250, 40))],
        {"30m": {}},
    ),
    Case(
        "one slow entry is passed by the others",
        "GatewayLaneStuck",
        [*(s for s in stuck() if "position" not in s[0]), lane("position_offset", "0+10x40")],
        {"30m": {}},
    ),
    *(
        Case(f"what is known explains it: {name}", "GatewayLaneStuck", [*stuck(), known], {"30m": {}})
        for name, known in (
            ("a hold", lane("delayed", flat(1, 40), cause="hold")),
            ("a stop", lane("delayed", flat(1, 40), cause="stop")),
            ("the fence", series("gateway_fence_failures_total", "0+3x40")),
            ("the breaker", series("gateway_genie_breaker_open", flat(1, 40))),
        )
    ),
    Case(
        "the registry explains it",
        "GatewayLaneStuck",
        [*(s for s in stuck() if "registry" not in s[0]), lane("awaits_registry", flat(1, 40))],
        {"30m": {}},
    ),
    Case(
        "a lane without records does not move either",
        "GatewayLaneStuck",
        [*(s for s in stuck() if "lag" not in s[0]), lane("lag_seconds", flat(0, 40))],
        {"30m": {}},
    ),
    Case(
        "two lanes of a topic are one call",
        "GatewayLaneStuck",
        [*stuck(), *stuck(partition="1")],
        {"30m": {PAGE: 1}},
    ),
]

BREAKER_OPEN = [
    Case(
        "GeNiE is away, and comes back",
        "GatewayBreakerOpen",
        [series("gateway_genie_breaker_open", f"{flat(0, 15)} {flat(1, 15)} {flat(0, 20)}")],
        {"21m": {}, "24m": {TICKET: 1}, "40m": {}},
    ),
    Case(
        "one that is open most of the time does not come and go",
        "GatewayBreakerOpen",
        [series("gateway_genie_breaker_open", f"{flat(0, 10)} " + "1 1 0 " * 15)],
        {time: {TICKET: 1} for time in ("25m", "26m", "27m", "28m", "40m")},
    ),
    Case(
        "now and then, or in one process of three, is nothing yet",
        "GatewayBreakerOpen",
        [
            series("gateway_genie_breaker_open", flat(1, 40)),
            series("gateway_genie_breaker_open", "0 0 1 " * 13, "b"),
            series("gateway_genie_breaker_open", flat(0, 40), "c"),
        ],
        {"15m": {}, "35m": {}},
    ),
]

REGISTRY_AWAY = [
    Case(
        "a lane waits for it",
        "GatewayRegistryAway",
        [lane("awaits_registry", f"{flat(0, 5)} {flat(1, 10)} {flat(0, 5)}")],
        {"8m": {}, "11m": {PAGE: 1}, "16m": {}},
    ),
    Case(
        "a moment", "GatewayRegistryAway", [lane("awaits_registry", "0 0 1 1 0 0 0 1 1 0 0 0")], {"9m": {}, "11m": {}}
    ),
]

DOUBTFUL_COMMITS = [
    Case(
        "without end",
        "GatewayDoubtfulCommits",
        [
            series(
                "gateway_doubtful_commits_total",
                " ".join(["0+0x9", "1+0x9", "2+0x9", "3+0x9", "4+0x9", "5+0x9", "6+0x9", "7+0x9"]),
            )
        ],
        {"40m": {}, "60m": {TICKET: 1}},
    ),
    Case(
        "every half hour",
        "GatewayDoubtfulCommits",
        [series("gateway_doubtful_commits_total", " ".join(flat(count, 30) for count in range(5)))],
        {"60m": {}, "100m": {}, "140m": {}},
    ),
    Case(
        "a broker's restart",
        "GatewayDoubtfulCommits",
        [series("gateway_doubtful_commits_total", f"{flat(0, 10)} 32+0x80")],
        {"12m": {}, "30m": {}, "70m": {}},
    ),
]


CASES = [
    *(*NONE_SERVES, *PROCESS_FAILS, *RESTARTS),
    *(*LANE_STOPPED, *LANE_STUCK, *BREAKER_OPEN, *REGISTRY_AWAY, *DOUBTFUL_COMMITS),
]
