"""What a lane does while the schema registry is away or broken, and with schemas that it has never seen."""

import asyncio

import pytest

from tests.faults import Where, fault
from tests.integration.registry_run import NEW_VALUE, NEW_VERSIONS, WRONG, Run, everything

UNREACHABLE = 3
WAITS = "the lane waits and asks again every second; nothing is parked; it goes on as soon as it knows the schema"
WAITS_SEEN = "`gateway_lane_awaits_registry` is 1, log line `lane waits for the schema registry`, lag growing"
STAYS_OUT = "reads the record by its own schema; the new field stays out of every body until a release allows it"
REFUSED = "parks its records as schema_without_item; once the schema is mended a replay provides them"
PARKED_SEEN = '`gateway_settled_total{outcome="PARKED",reason="schema_without_item"}`'


@pytest.fixture(scope="module")
def run(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The whole run, once; without a clean verdict no fault of it has passed."""
    return asyncio.run(everything(kafka, tmp_path_factory.mktemp("registry")))


@fault(
    Where.REGISTRY,
    "the registry is away when the gateway starts",
    does="the process ends before it opens a lane; the next start tries again",
    seen="exit status 3 and a message with the registry's address",
)
def test_away_at_start(run: Run) -> None:
    """Nothing starts that could not write its records."""
    assert run.start_while_away == UNREACHABLE
    assert run.registry_address in run.said_while_away


def wrong(name: str, case: str) -> object:
    return pytest.param(case, id=case, marks=fault(Where.REGISTRY, name, does=WAITS, seen=WAITS_SEEN))


@pytest.mark.parametrize(
    "case",
    [
        wrong("the registry is away while the gateway runs, and a record names a schema that is not known yet", "away"),
        wrong("the registry answers bytes that are no JSON", "garbage"),
        wrong("a proxy answers in the registry's place, with a page of its own", "a page of a proxy"),
        wrong("the registry answers JSON of another shape", "an array"),
        wrong("the registry answers 500", "an error"),
        wrong("the registry answers more than a megabyte", "huge"),
        wrong("the registry begins an answer and never ends it", "never ends"),
    ],
)
def test_the_lane_waits(run: Run, case: str) -> None:
    """It shows that it waits, settles nothing meanwhile, and provides the record afterwards."""
    assert case in run.waited
    assert case not in run.settled_meanwhile
    assert run.reasons[case] == "accepted"


def test_every_wrong_answer_is_tried(run: Run) -> None:
    """No case of the run is left out above."""
    assert run.waited == {"away", *WRONG}


def test_what_is_known_needs_no_registry(run: Run) -> None:
    """While it is away, records of known schemas are provided."""
    assert run.reasons["known while away"] == "accepted"


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(
            case,
            marks=fault(
                Where.REGISTRY,
                f"a producer's new schema has one more field, {label}",
                does=STAYS_OUT,
                seen="`gateway schemas diff` names the field",
            ),
        )
        for case, label in (
            ("internal", "labelled internal"),
            ("of an item that may leave", "labelled with an item that customers consent to"),
        )
    ],
)
def test_a_new_field_stays_out(run: Run, case: str) -> None:
    """The record is provided with what was provided before, to the field."""
    assert run.reasons[case] == "accepted"
    assert shape(run.bodies[case]) == shape(run.bodies["away"])
    assert NEW_VALUE not in str(run.bodies[case])
    assert run.new_fields[case] == [NEW_VERSIONS[case]["fields"][-1]["name"]]


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(
            "unknown item",
            marks=fault(
                Where.REGISTRY, "a producer's new schema has a field of an unknown item", does=REFUSED, seen=PARKED_SEEN
            ),
        ),
        pytest.param(
            "without item",
            marks=fault(
                Where.REGISTRY, "a producer's new schema has a field without an item", does=REFUSED, seen=PARKED_SEEN
            ),
        ),
    ],
)
def test_a_schema_that_is_refused(run: Run, case: str) -> None:
    """Parked, parked again when replayed as it was, provided when replayed after it was mended."""
    assert run.reasons[case] == "schema_without_item"
    assert run.replayed[f"{case} as it was"] == "schema_without_item"
    assert run.replayed[f"{case} mended"] == "accepted"


@fault(
    Where.REGISTRY,
    "the registry has another record's schema under the id of an input",
    does="ends the record as INVALID not_avro: by that schema it is no record of its topic",
    seen='`gateway_settled_total{outcome="INVALID",reason="not_avro"}`',
)
def test_an_id_of_another_kind(run: Run) -> None:
    """Nothing is read by the schema of another record."""
    assert run.reasons["of another kind"] == "not_avro"


def shape(value: object) -> object:
    """Names without values."""
    return {name: shape(inner) for name, inner in value.items()} if isinstance(value, dict) else None
