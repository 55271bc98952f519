"""GeNiE's troubles that need nothing but a fault switched on: what goes wrong, what the gateway does, what is seen.

The rows follow the outcome table. Each is gone through by genie_course.py; those that need more than a fault
switched on are told in genie_trouble_stories.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.core.outcome import Stop

SOME = 3  # events in each trouble

LATER = "sends nothing of it before Retry-After is over, then again; parks nothing"
AGAIN = "waits a little longer each time and sends again; parks nothing"
SAME = "decides anew and sends the same bytes under the same key, by which GeNiE knows them again; parks nothing"
ALL_THE_SAME = "takes the answer: what counts in it is signed and right"
STOPS = "the lane stops, sends nothing for 30 s, then tries again by itself; parks nothing"
HALVES = "halves the batch until the entry is alone and parks it; its neighbours are provided"


@dataclass(frozen=True, slots=True)
class Trouble:
    """One fault of the sandbox, switched on until it has struck."""

    name: str
    fault: str
    kind: str  # of the answer, as gateway_genie_request_seconds tells it
    does: str
    parameters: Mapping[str, object] = field(default_factory=dict)
    stop: Stop | None = None
    tried_again: bool = True
    together: bool = False  # it strikes a batch, not its first entry alone
    parks_one: bool = False
    taken_once: bool = False  # nothing that GeNiE has taken is sent to it again

    @property
    def seen(self) -> str:
        """By an operator."""
        told = f'`gateway_genie_request_seconds{{kind="{self.kind}"}}`'
        if self.stop is not None:
            return f'`gateway_lane_stops_total{{code="{self.stop.value}"}}`, log line `lane stopped`; {told}'
        if self.parks_one:
            return f'`gateway_settled_total{{reason="rejected_by_genie"}}`; {told}'
        return f"{told}; `gateway_genie_retries_total`" if self.tried_again else told


def _surely_not_received() -> list[Trouble]:
    return [
        *(
            Trouble(name, fault, "not_sent", AGAIN, taken_once=True)
            for name, fault in (
                ("GeNiE ends every connection before TLS stands", "handshake_refused"),
                ("GeNiE's certificate is by an unknown authority", "wrong_authority"),
                ("GeNiE's certificate has expired", "expired_certificate"),
                ("GeNiE's certificate is for another host", "wrong_host"),
            )
        ),
        Trouble("signed 429, Retry-After in seconds", "too_many_requests", "429", LATER, taken_once=True),
        Trouble(
            "signed 429, Retry-After as a date",
            "too_many_requests",
            "429",
            LATER,
            {"as_date": True, "retry_after": 2},
            taken_once=True,
        ),
        Trouble("signed 503 with Retry-After", "unavailable", "503", LATER, taken_once=True),
        Trouble(
            "signed 401: our signature has expired on its way",
            "signature_expired",
            "4xx",
            "announces again and sends with a new signature; stops nothing, parks nothing",
            taken_once=True,
        ),
    ]


def _accepted_all_the_same() -> list[Trouble]:
    troubles: list[tuple[str, str, Mapping[str, object]]] = [
        ("GeNiE answers late, always alike", "latency", {"ms": 100}),
        ("GeNiE's latencies lie evenly around a mean", "latency", {"ms": 50, "spread": "uniform"}),
        ("GeNiE's latencies are exponential", "latency", {"ms": 50, "spread": "exponential"}),
        ("GeNiE's latencies have a long tail", "latency", {"ms": 20, "p99_ms": 300, "spread": "lognormal"}),
        ("results in another order", "reordered_results", {}),
        ("a result for a key that was not sent", "extra_results", {}),
        ("a right answer with the wrong content type", "wrong_content_type", {}),
        ("GeNiE's Date is an hour behind", "wrong_date", {}),
    ]
    return [
        Trouble(name, fault, "2xx", ALL_THE_SAME, parameters, tried_again=False, taken_once=True)
        for name, fault, parameters in troubles
    ]


def _stops() -> list[Trouble]:
    signed: list[tuple[str, str, int, Stop]] = [
        ("GeNiE refuses our signature (401)", "client_error", 401, Stop.UNAUTHENTICATED),
        ("GeNiE does not know our key or recipient id (403)", "client_error", 403, Stop.FORBIDDEN),
        ("the URL is wrong (404)", "client_error", 404, Stop.WRONG_URL),
        ("the URL takes no POST (405)", "client_error", 405, Stop.WRONG_URL),
        ("the URL is gone (410)", "client_error", 410, Stop.WRONG_URL),
        ("GeNiE takes other media (415)", "client_error", 415, Stop.WRONG_MEDIA_TYPE),
        ("GeNiE refuses with another 4xx (451)", "client_error", 451, Stop.REFUSED),
        ("a redirect (308)", "redirect", 308, Stop.REDIRECTED),
    ]
    unsigned: list[tuple[str, str, int, Stop]] = [
        ("an unsigned 403, as of a proxy", "client_error", 403, Stop.FORBIDDEN),
        ("an unsigned redirect (302) to elsewhere", "redirect", 302, Stop.REDIRECTED),
    ]
    clock = Trouble("2xx signed an hour ago", "old_signature", "lost", STOPS, stop=Stop.CLOCK)
    return [
        clock,
        *(
            Trouble(
                name,
                fault,
                f"{status // 100}xx" if by_genie else "unverified",
                STOPS,
                {"status": status, "signed": by_genie},
                stop,
                taken_once=True,
            )
            for rows, by_genie in ((signed, True), (unsigned, False))
            for name, fault, status, stop in rows
        ),
    ]


def _parks_one() -> list[Trouble]:
    return [
        Trouble(
            f"a signed {status} for a whole batch, for the sake of one entry",
            "entry_spoils_batch",
            "4xx",
            HALVES,
            {"status": status},
            tried_again=False,
            together=True,
            parks_one=True,
            taken_once=True,
        )
        for status in (400, 413, 422)
    ]


def _unknown_by_status() -> list[Trouble]:
    rows: list[tuple[str, str, str, Mapping[str, object]]] = [
        ("signed 408", "client_error", "4xx", {"status": 408}),
        ("signed 409", "client_error", "4xx", {"status": 409}),
        ("signed 500", "server_error", "5xx", {"signed": True}),
        ("signed 500 after GeNiE has accepted", "server_error_after_accepting", "5xx", {"signed": True}),
        ("unsigned 500", "server_error", "unverified", {}),
        ("unsigned 504 after GeNiE has accepted", "server_error_after_accepting", "unverified", {"status": 504}),
        ("unsigned 429", "too_many_requests", "unverified", {"signed": False}),
        ("unsigned 503", "unavailable", "unverified", {"signed": False}),
        ("502 of a proxy", "bad_gateway", "unverified", {}),
        ("502 of a proxy after GeNiE has accepted", "bad_gateway_after_accepting", "unverified", {}),
    ]
    return [Trouble(name, fault, kind, SAME, parameters) for name, fault, kind, parameters in rows]


def _unknown_by_signature() -> list[Trouble]:
    rows: list[tuple[str, str, Mapping[str, object]]] = [
        ("2xx without signature", "unsigned_answer", {}),
        ("2xx with a signature that does not verify", "bad_signature", {}),
        ("2xx with the signature for another request", "swapped_signature", {}),
        ("2xx signed with an unknown key", "unknown_key_id", {}),
        ("2xx whose digest is of another content", "wrong_digest", {}),
    ]
    return [Trouble(name, fault, "unverified", SAME, parameters) for name, fault, parameters in rows]


def _unknown_by_content() -> list[Trouble]:
    rows: list[tuple[str, str, Mapping[str, object]]] = [
        ("half a JSON document", "garbage_json", {}),
        ("JSON nested 100,000 deep", "deep_json", {}),
        ("another JSON type instead of the results", "other_json_types", {"what": "results"}),
        ("another JSON type instead of a key", "other_json_types", {"what": "key"}),
        ("another JSON type instead of a status", "other_json_types", {"what": "status"}),
        ("another JSON type instead of what was first accepted", "other_json_types", {"what": "first"}),
        ("a result is missing", "missing_results", {}),
        ("a result is there twice", "repeated_results", {}),
        ("every result under a key that was not sent", "wrong_keys", {}),
    ]
    swapped = Trouble("each result under its neighbour's key", "swapped_results", "2xx", SAME, together=True)
    return [*(Trouble(name, fault, "2xx", SAME, parameters) for name, fault, parameters in rows), swapped]


def _unknown_by_connection() -> list[Trouble]:
    rows: list[tuple[str, str, Mapping[str, object]]] = [
        ("GeNiE takes nothing and never answers", "hang_before_accepting", {}),
        ("GeNiE accepts and never answers", "timeout_after_accepting", {}),
        ("the answer stops half-way", "stall_after_bytes", {}),
        ("the answer comes byte by byte", "slow_bytes", {"ms": 100}),
        ("the connection ends before GeNiE has accepted", "reset_before_accepting", {}),
        ("the connection ends after GeNiE has accepted", "reset_after_accepting", {}),
        ("the connection ends within the answer", "reset_after_bytes", {"bytes": 300}),
        ("what comes back is no HTTP", "garbage_bytes", {}),
        ("an answer without end", "endless_body", {}),
        ("a compressed bomb", "compressed_bomb", {"megabytes": 20}),
    ]
    return [Trouble(name, fault, "lost", SAME, parameters) for name, fault, parameters in rows]


TROUBLES = [
    *_surely_not_received(),
    *_accepted_all_the_same(),
    *_stops(),
    *_parks_one(),
    *_unknown_by_status(),
    *_unknown_by_signature(),
    *_unknown_by_content(),
    *_unknown_by_connection(),
]
