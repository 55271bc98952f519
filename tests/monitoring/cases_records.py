"""What must fire the alerts of consents, records and credentials, and what must not."""

from tests.monitoring.promtool import Case, flat, series

PAGE, TICKET = 'severity="page"', 'severity="ticket"'


def counted(reason: str, values: str, outcome: str) -> tuple[str, str]:
    return series("gateway_settled_total", values, topic="t", outcome=outcome, reason=reason)


FENCE_FAILS = [
    Case(
        "the fences of one process fail",
        "GatewayFenceFails",
        [
            series("gateway_fence_failures_total", "0+0x4 10+10x20"),
            series("gateway_fence_seconds_count", f"0+1000x4 {flat(4000, 21)}"),
            series("gateway_fence_failures_total", flat(3, 26), "b"),
            series("gateway_fence_seconds_count", "0+1000x25", "b"),
        ],
        {"6m": {}, "10m": {f'{PAGE}, instance="a"': 1}},
        by="instance",
    ),
    Case(
        "one of many, and no fence at all",
        "GatewayFenceFails",
        [
            series("gateway_fence_failures_total", "0+1x25"),
            series("gateway_fence_seconds_count", "0+1000x25"),
            series("gateway_fence_failures_total", flat(3, 26), "b"),
            series("gateway_fence_seconds_count", flat(9, 26), "b"),
        ],
        {"10m": {}, "25m": {}},
    ),
]

VIEW = "gateway_consent_view_whole_timestamp_seconds"
VIEW_STALE = [
    Case(
        "it stays behind",
        "GatewayConsentViewStale",
        [series(VIEW, "1+60x10 601+0x20")],
        {"16m": {}, "19m": {TICKET: 1}},
    ),
    Case(
        "it is whole every now and then; or has only started",
        "GatewayConsentViewStale",
        [series(VIEW, "1 1 1 181 181 181 361 361 361 541 541 541"), series(VIEW, flat(0, 12), "b")],
        {"6m": {}, "9m": {}, "11m": {}},
    ),
]

CONTRADICT = [
    Case(
        "records that go back: once for all processes, for an hour",
        "GatewayConsentsContradict",
        [
            *(
                series("gateway_consent_view_records_total", f"{flat(0, 10)} {flat(3, 90)}", name, kind="went_back")
                for name in "ab"
            ),
            series("gateway_consent_view_records_total", "0+50x100", kind="read"),
        ],
        {"9m": {}, "12m": {f'{TICKET}, kind="went_back"': 1}, "65m": {f'{TICKET}, kind="went_back"': 1}, "75m": {}},
        by="kind",
    ),
    Case(
        "a view that is built anew counts the old ones before it is looked at",
        "GatewayConsentsContradict",
        [series("gateway_consent_view_records_total", f"_x5 {flat(7, 50)}", kind="went_back")],
        {"7m": {}, "30m": {}},
    ),
]

CONTROL_UNREADABLE = [
    Case(
        "until it is replaced",
        "GatewayControlUnreadable",
        [
            series("gateway_consent_view_records_total", f"{flat(0, 5)} {flat(1, 30)}", kind="unreadable_controls"),
            series("gateway_holds", f"{flat(0, 5)} {flat(1, 10)} {flat(0, 20)}", scope="all"),
        ],
        {"7m": {}, "9m": {PAGE: 1}, "16m": {}},
    ),
    Case(
        "a hold on purpose",
        "GatewayControlUnreadable",
        [
            series("gateway_consent_view_records_total", flat(0, 30), kind="unreadable_controls"),
            series("gateway_holds", flat(1, 30), scope="all"),
        ],
        {"20m": {}},
    ),
]

HOLD_FORGOTTEN = [
    Case(
        "half a day, through a restart",
        "GatewayHoldForgotten",
        [
            series("gateway_holds", f"{flat(1, 20)} stale", scope="event_type"),
            series("gateway_holds", f"_x20 {flat(1, 100)}", "b", scope="event_type"),
        ],
        {"11h": {}, "13h": {TICKET: 1}},
        every="10m",
    ),
    Case(
        "a subject's may take a week",
        "GatewayHoldForgotten",
        [series("gateway_holds", flat(2, 60), scope="subject"), series("gateway_holds", flat(0, 60), scope="all")],
        {"16h": {}, "7d": {}, "8d": {TICKET: 1}},
        every="4h",
    ),
    Case(
        "a subject's that is released and another that is set",
        "GatewayHoldForgotten",
        [series("gateway_holds", f"{flat(1, 25)} 0 {flat(1, 40)}", scope="subject")],
        {"8d": {}, "10d": {}},
        every="4h",
    ),
]

RECORDS = [
    case
    for alert, outcome, reason in (
        ("GatewayParkedGrows", "PARKED", "rejected_by_genie"),
        ("GatewayInvalidGrows", "INVALID", "not_avro"),
        ("GatewayWithholdsOddly", "WITHHELD", "policy_version_unknown"),
    )
    for case in (
        Case(
            "many within the hour; it ends an hour after the last",
            alert,
            [counted(reason, f"{flat(0, 10)} 1+1x39 {flat(40, 90)}", outcome)],
            {"20m": {}, "45m": {f'{TICKET}, reason="{reason}"': 1}, "120m": {}},
            by="reason",
        ),
        Case(
            "a few, or as many as a restart makes of old ones",
            alert,
            [counted(reason, f"{flat(19, 30)} {flat(0, 10)} {flat(19, 60)}", outcome)],
            {"35m": {}, "59m": {}},
        ),
    )
] + [
    Case(
        "what is held or withheld on purpose is no trouble",
        alert,
        [
            counted("held", "0+50x60", "PARKED"),
            counted("outcome_unknown", "0+50x60", "PARKED"),
            counted("no_consent", "0+50x60", "WITHHELD"),
            counted("accepted", "0+50x60", "PROVIDED"),
        ],
        {"30m": {}, "59m": {}},
    )
    for alert in ("GatewayParkedGrows", "GatewayInvalidGrows", "GatewayWithholdsOddly")
]

OUTCOMES_UNKNOWN = [
    Case(
        "a single one",
        "GatewayOutcomesUnknown",
        [counted("outcome_unknown", f"{flat(0, 10)} {flat(1, 90)}", "PARKED")],
        {"9m": {}, "11m": {TICKET: 1}, "75m": {}},
    ),
    Case("none", "GatewayOutcomesUnknown", [counted("outcome_unknown", flat(4, 90), "PARKED")], {"30m": {}}),
]

DAY = 86_400
EXPIRY = "gateway_certificate_expiry_timestamp_seconds"
CERTIFICATE_ENDS = [
    Case(
        "a ticket for two weeks, then a page; the sooner of two processes counts",
        "GatewayCertificateEnds",
        [
            series(EXPIRY, flat(30 * DAY, 130), name="genie"),
            series(EXPIRY, flat(400 * DAY, 130), "b", name="genie"),
            series(EXPIRY, flat(400 * DAY, 130), name="genie_ca"),
        ],
        {
            "8d": {},
            "10d": {f'{TICKET}, name="genie"': 1},
            "20d": {f'{TICKET}, name="genie"': 1},
            "24d": {f'{PAGE}, name="genie"': 1},
        },
        by="name",
        every="6h",
    ),
    Case(
        "one that is renewed in time",
        "GatewayCertificateEnds",
        [series(EXPIRY, f"{flat(30 * DAY, 34)} {flat(90 * DAY, 80)}", name="genie")],
        {"8d": {}, "20d": {}},
        every="6h",
    ),
]

CHANGE_REFUSED = [
    Case(
        "it stays refused",
        "GatewayCredentialChangeRefused",
        [series("gateway_credential_change_refused", f"{flat(0, 5)} {flat(1, 30)}", partner="genie")],
        {"18m": {}, "21m": {f'{TICKET}, partner="genie"': 1}},
        by="partner",
    ),
    Case(
        "while files are being replaced",
        "GatewayCredentialChangeRefused",
        [series("gateway_credential_change_refused", f"{flat(0, 5)} {flat(1, 10)} {flat(0, 15)}", partner="genie")],
        {"14m": {}, "21m": {}},
        by="partner",
    ),
]


CASES = [
    *(*FENCE_FAILS, *VIEW_STALE, *CONTRADICT, *CONTROL_UNREADABLE, *HOLD_FORGOTTEN),
    *(*RECORDS, *OUTCOMES_UNKNOWN, *CERTIFICATE_ENDS, *CHANGE_REFUSED),
]
