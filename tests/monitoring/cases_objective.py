"""What must fire the alerts of the objective, and what must not."""

from tests.monitoring.promtool import Case, flat, lane, process, series

PAGE, TICKET = 'severity="page"', 'severity="ticket"'
HISTOGRAM = "gateway_append_to_ledger_seconds"
RESTARTED = " "  # between two runs of a counter's values


def settled(all_of_them: str, in_time: str, instance: str = "a", **labels: str) -> list[tuple[str, str]]:
    """Records settled so far, and those of them within the objective."""
    return [
        series(f"{HISTOGRAM}_count", all_of_them, instance, **labels),
        series(f"{HISTOGRAM}_bucket", in_time, instance, le="300.0", **labels),
    ]


def gateway(in_time: str, count: int, job: str, all_of_them: str = "") -> list[tuple[str, str]]:
    """One that settles 10,000 records between two samples, and none is overdue."""
    build = series("gateway_build_info", flat(1, count), job=job)
    return [build, *settled(all_of_them or f"0+10000x{count}", in_time, job=job)]


OUTAGE = f"0+100x60 {flat(6000, 20)} 8000+100x40"  # nothing settled from 60m to 80m, then all of it at once
OUTAGE_IN_TIME = f"0+100x60 {flat(6000, 20)} 6500+100x40"
OVERDUE = f"{flat(0, 66)} 100+100x14 {flat(0, 41)}"

SETTLES_LATE = [
    Case(
        "an outage pages within minutes of the first late record, and ends with it",
        "GatewaySettlesLate",
        [*process(flat(1, 121)), *settled(OUTAGE, OUTAGE_IN_TIME), lane("overdue_records", OVERDUE)],
        {"67m": {}, "68m": {PAGE: 1}, "82m": {PAGE: 1, TICKET: 1}, "117m": {TICKET: 1}},
    ),
    Case(
        "no traffic at all is no reason",
        "GatewaySettlesLate",
        [*process(flat(1, 80)), *settled(flat(500, 80), flat(490, 80)), lane("overdue_records", flat(0, 80))],
        {"10m": {}, "1h": {}, "6h": {}},
        every="5m",
    ),
    Case(
        "an outage without any traffic before it pages too",
        "GatewaySettlesLate",
        [*process(flat(1, 30)), *settled(flat(0, 30), flat(0, 30)), lane("overdue_records", f"{flat(0, 6)} 5+5x20")],
        {"5m": {}, "12m": {PAGE: 1}},
    ),
    Case(
        "a few late records of few wake nobody",
        "GatewaySettlesLate",
        [
            *process(flat(1, 60)),
            *settled("0+1x59", f"0+1x20 {flat(20, 5)} 21+1x33"),
            lane("overdue_records", flat(0, 60)),
        ],
        {"25m": {}, "30m": {}, "59m": {}},
    ),
    Case(
        "a dozen of late records of few is enough",
        "GatewaySettlesLate",
        [
            *process(flat(1, 60)),
            *settled("0+1x59", f"0+1x20 {flat(20, 13)} 21+1x25"),
            lane("overdue_records", flat(0, 60)),
        ],
        {"28m": {}, "35m": {PAGE: 1}},
    ),
    Case(
        "a restart is no lateness: counters begin anew",
        "GatewaySettlesLate",
        [
            *process(flat(1, 90)),
            *settled(f"0+100x30{RESTARTED}7+100x58", f"0+100x30{RESTARTED}7+100x58"),
            lane("overdue_records", flat(0, 90)),
        ],
        {"31m": {}, "35m": {}, "60m": {}, "89m": {}},
        expressions={
            "39m": ("round(sum(job:gateway_records:increase1h))", 3_807),
            "40m": ("round(sum(job:gateway_late_records:increase1h))", 0),
        },
    ),
    Case(
        "a process that goes and one that comes are one gateway",
        "GatewaySettlesLate",
        [
            *process(f"{flat(1, 30)} stale"),
            *settled("0+100x29 stale", "0+100x29 stale"),
            lane("overdue_records", f"{flat(0, 30)} stale"),
            *process(f"_x29 {flat(1, 60)}", "b"),
            *settled("_x29 0+100x59", "_x29 0+100x59", "b"),
            lane("overdue_records", f"_x29 {flat(0, 60)}", "b"),
        ],
        {"31m": {}, "45m": {}, "80m": {}},
    ),
    Case(
        "a lane that moves is overdue once, although two processes show it",
        "GatewaySettlesLate",
        [lane("overdue_records", flat(9, 5)), lane("overdue_records", flat(7, 5), "b")],
        {"4m": {}},
        expressions={"3m": ("sum(job:gateway_overdue_records:sum)", 9)},
    ),
    Case(
        "an hour: 2.5 % late are a page, 1 % are none",
        "GatewaySettlesLate",
        [
            *gateway("0+10000x180 1809900+9900x30", 212, "one"),
            *gateway("0+10000x180 1809750+9750x30", 212, "two-and-a-half"),
        ],
        {
            "7h": {
                f'{PAGE}, job="two-and-a-half"': 1,
                f'{TICKET}, job="two-and-a-half"': 1,
                f'{TICKET}, job="one"': 1,
            }
        },
        by="job",
        every="2m",
    ),
    Case(
        "hours: 1 % late are a page, 0.4 % are a ticket",
        "GatewaySettlesLate",
        [*gateway("0+9960x212", 212, "less"), *gateway("0+9900x212", 212, "one")],
        {"7h": {f'{PAGE}, job="one"': 1, f'{TICKET}, job="one"': 1, f'{TICKET}, job="less"': 1}},
        by="job",
        every="2m",
    ),
    Case(
        "a quiet day after busy ones: 0.5 % late are a ticket, 0.2 % are none",
        "GatewaySettlesLate",
        [
            *gateway("0+10000x96 961990+1990x50", 147, "half", "0+10000x96 962000+2000x50"),
            *gateway("0+10000x96 961996+1996x50", 147, "less", "0+10000x96 962000+2000x50"),
        ],
        {"72h": {f'{TICKET}, job="half"': 1}},
        by="job",
        every="30m",
    ),
    Case(
        "twice the budget for days is a ticket and no page; half of it is nothing",
        "GatewaySettlesLate",
        [*gateway("0+9980x150", 150, "twice"), *gateway("0+9995x150", 150, "half")],
        {"71h": {f'{TICKET}, job="twice"': 1}},
        by="job",
        every="30m",
    ),
]

LAG_GROWS = [
    Case(
        "a backlog that grows",
        "GatewayLagGrows",
        [lane("lag_records", "0+50x120"), lane("lag_seconds", "0+10x120")],
        {"30m": {}, "45m": {TICKET: 1}, "110m": {TICKET: 1}},
    ),
    Case(
        "one that shrinks, or that is young, is caught up with",
        "GatewayLagGrows",
        [
            lane("lag_records", "9000-50x120"),
            lane("lag_seconds", flat(900, 120)),
            lane("lag_records", "0+50x120", job="young"),
            lane("lag_seconds", flat(50, 120), job="young"),
        ],
        {"45m": {}, "110m": {}},
    ),
    Case(
        "lanes that move between processes change no backlog",
        "GatewayLagGrows",
        [
            lane("lag_records", f"{flat(500, 60)} stale"),
            lane("lag_records", f"_x58 {flat(500, 62)}", "b"),
            lane("lag_seconds", flat(90, 120)),
        ],
        {"59m": {}, "61m": {}, "100m": {}},
    ),
]


CASES = [*SETTLES_LATE, *LAG_GROWS]
