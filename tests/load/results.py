"""A result with nothing wrong in it, to change one thing of."""

from load.result import Baseline, Kind, Latency, Mode, PerEvent, Result, Sandbox

SOUND = Result(
    scenario="backlog",
    mode=Mode.BATCH,
    gateways=1,
    partitions=6,
    subjects=100_000,
    events=80_000,
    seconds=4.0,
    events_per_second=20_000.0,
    gateway_cpu_us_per_event=40.0,
    cpu_us_per_event={Kind.GATEWAY: 40.0, Kind.KAFKA: 20.0, Kind.GENIE: 30.0},
    latency_ms=Latency(40.0, 90.0, 120.0, 130.0, 80_000, "HIST"),
    wire_bytes_per_event=1_200.0,
    rss_mb=120.0,
    per_event=PerEvent(fences=0.001, announcements=1.0, verified_answers=0.01, transactions=0.001),
    sandbox=Sandbox(genie_cores=0.5, latency_ms=20.0, answer_ms=25.0, producer_behind_ms=3.0),
    verdict={"lost": 0, "leaked_fields": 0},
    provided=80_000,
    settled={"PROVIDED": 80_000},
    baseline=Baseline(events=2_000, seconds=2.0, events_per_second=1_000.0, cpu_us_per_event=1_000.0),
)
