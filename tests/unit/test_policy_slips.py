"""Slips in the policy's file: each is refused, and the refusal says where, what is needed and what was found."""

from copy import deepcopy
from datetime import UTC, datetime

import pytest
import yaml

from gateway.core.events import LAST_DAY, EventType
from gateway.core.policy import CODES_BYTES_MAX, NUMBER_MAX, PolicyError, from_mapping
from gateway.policies import GENIE, load
from tests.core_cases import POLICY, day

DATA = yaml.safe_load(GENIE.read_text(encoding="utf-8"))
NUMBERS = {purpose["code"]: purpose["number"] for purpose in DATA["purposes"]}
FIRST = "credit_model_research"
MOMENT = datetime(2020, 11, 3, tzinfo=UTC)  # YAML makes one of a date with a time
LONG = "\u6c38" * 400

TEXT = "text (quoted, if it looks like a number, a date, yes or no)"
NUMBER = "a whole number from 1 to 2147483647"
TABLE = "a table that is not empty"
LIST = "a list that is not empty"
ITEMS = "exactly address birth_date name norel_score norel_score_inputs payment_history phone"
PAYMENT = "envelope, payment_history and no more than items"
ONE_PART = "fields of one part (norel_score_inputs: of inputs[])"
SOURCE = "a source out of application contract other payment_record usage"
CODES = "codes of at most 1000 bytes together"
NUMBERED = "each code once, numbered from 1 without gaps"
DATE = "a date, YYYY-MM-DD without quotes"
CLAUSE = "one of no unknown yes (yes and no in quotes)"
PARTS = "events items mapping_version opt_out_allowed policy purposes recipient_id score_inputs"


def changed(*path, to):
    data = deepcopy(DATA)
    part = data
    for step in path[:-1]:
        part = part[step]
    part[path[-1]] = to
    return data


SLIPS = [
    (("shoe_size",), 1, "the file", f"exactly the keys {PARTS} versions", f"{PARTS} shoe_size versions"),
    (("recipient_id",), "", "recipient_id", TEXT, ""),
    (("mapping_version",), 0, "mapping_version", NUMBER, 0),
    (("mapping_version",), "1", "mapping_version", NUMBER, "1"),
    (("mapping_version",), True, "mapping_version", NUMBER, True),
    (("mapping_version",), 1 << 31, "mapping_version", NUMBER, 1 << 31),
    (("items", "postal_code"), "郵便番号", "items", ITEMS, f"{ITEMS.removeprefix('exactly ')} postal_code"),
    (("items", "name"), 7, "items.name", TEXT, 7),
    (("items", 7), "氏名", "items", TEXT, 7),
    (("items",), {}, "items", TABLE, "an empty dict"),
    (("purposes",), None, "purposes", LIST, "NoneType"),
    (("purposes",), [], "purposes", LIST, "an empty list"),
    (("purposes", 0), "code", "purposes[0]", TABLE, "str"),
    (("purposes", 0), {"code": "x", "text": "x"}, "purposes[0]", "exactly the keys code number text", "code text"),
    (("purposes", 1, "number"), 0, "purposes[1].number", NUMBER, 0),
    (("purposes", 0, "number"), 2, "purposes", NUMBERED, NUMBERS | {FIRST: 2}),
    (("purposes", 9, "number"), 11, "purposes", NUMBERED, NUMBERS | {DATA["purposes"][9]["code"]: 11}),
    (
        ("purposes", 0, "code"),
        "inquiry_handling",
        "purposes",
        NUMBERED,
        {"inquiry_handling": 5} | {code: number for code, number in NUMBERS.items() if code != FIRST},
    ),
    (("purposes", 0, "code"), False, "purposes[0].code", TEXT, False),
    (("purposes", 0, "text"), "", "purposes[0].text", TEXT, ""),
    (
        ("purposes", 0, "code"),
        LONG,
        "purposes",
        CODES,
        {LONG if code == FIRST else code: number for code, number in NUMBERS.items()},
    ),
    (("opt_out_allowed",), ["everything"], "opt_out_allowed", "codes of purposes", "everything"),
    (("opt_out_allowed",), "credit_product_marketing", "opt_out_allowed", LIST, "str"),
    (("versions",), {}, "versions", LIST, "an empty dict"),
    (("versions", 3), None, "versions[3]", TABLE, "NoneType"),
    (("versions", 3), {"clause": "no"}, "versions[3]", "exactly the keys clause from", "clause"),
    (("versions", 3, "from"), "2020-11-03", "versions[3].from", DATE, "2020-11-03"),
    (
        ("versions", 3, "from"),
        MOMENT,
        "versions[3].from",
        DATE,
        MOMENT,
    ),
    (
        ("versions", 3, "from"),
        DATA["versions"][2]["from"],
        "versions[3].from",
        "a later day than the version before it",
        str(DATA["versions"][2]["from"]),
    ),
    (("versions", 3, "clause"), True, "versions[3].clause", CLAUSE, True),
    (("versions", 3, "clause"), "perhaps", "versions[3].clause", CLAUSE, "perhaps"),
    (("events",), None, "events", TABLE, "NoneType"),
    (
        ("events", "other"),
        {},
        "events",
        "exactly the keys lease_payment norel_score_update",
        "lease_payment norel_score_update other",
    ),
    (("events", "lease_payment"), {}, "events.lease_payment", TABLE, "an empty dict"),
    (("events", "lease_payment", 7), {"customer.name": "text"}, "events.lease_payment", TEXT, 7),
    (
        ("events", "lease_payment", "postal_code"),
        {"customer.postal_code": "text"},
        "events.lease_payment",
        PAYMENT,
        "address birth_date envelope name payment_history phone postal_code",
    ),
    (
        ("events", "lease_payment", "internal"),
        {"customer.memo": "text"},
        "events.lease_payment",
        PAYMENT,
        "address birth_date envelope internal name payment_history phone",
    ),
    (("events", "lease_payment"), {"envelope": {"event_id": "text"}}, "events.lease_payment", PAYMENT, "envelope"),
    (("events", "lease_payment", "name"), {}, "events.lease_payment.name", TABLE, "an empty dict"),
    (("events", "lease_payment", "name"), {7: "text"}, "events.lease_payment.name", TEXT, 7),
    (
        ("events", "lease_payment", "name", "memo"),
        "text",
        "events.lease_payment.name",
        ONE_PART,
        "customer.name customer.name_kana memo",
    ),
    (
        ("events", "lease_payment", "name", "customer.name"),
        "float",
        "events.lease_payment.name.customer.name",
        "one of date integer text time (yes and no in quotes)",
        "float",
    ),
    (
        ("events", "norel_score_update", "norel_score_inputs"),
        {"input_id": "text"},
        "events.norel_score_update.norel_score_inputs",
        ONE_PART,
        "input_id",
    ),
    (
        ("events", "norel_score_update", "norel_score"),
        {"inputs[].value": "text"},
        "events.norel_score_update.norel_score",
        ONE_PART,
        "inputs[].value",
    ),
    (("score_inputs",), {}, "score_inputs", TABLE, "an empty dict"),
    (("score_inputs", 7), DATA["score_inputs"]["norel_score"], "score_inputs", TEXT, 7),
    (("score_inputs", "norel_score"), {}, "score_inputs.norel_score", TABLE, "an empty dict"),
    (("score_inputs", "norel_score", 3), {"months_in_contract": "contract"}, "score_inputs.norel_score", TEXT, 3),
    (("score_inputs", "norel_score", "1"), {}, "score_inputs.norel_score.1", TABLE, "an empty dict"),
    (("score_inputs", "norel_score", "1", 7), "contract", "score_inputs.norel_score.1", TEXT, 7),
    (
        ("score_inputs", "norel_score", "1", "months_in_contract"),
        None,
        "score_inputs.norel_score.1.months_in_contract",
        TEXT,
        None,
    ),
    (
        ("score_inputs", "norel_score", "1", "home_area"),
        "location",
        "score_inputs.norel_score.1.home_area",
        SOURCE,
        "location",
    ),
    (
        ("score_inputs", "norel_score", "1", "loans_elsewhere"),
        "bureau",
        "score_inputs.norel_score.1.loans_elsewhere",
        SOURCE,
        "bureau",
    ),
]


@pytest.mark.parametrize(
    ("path", "to", "where", "needed", "found"), SLIPS, ids=[f"{n}-{slip[2]}" for n, slip in enumerate(SLIPS)]
)
def test_a_slip_is_refused_and_says_where(path, to, where, needed, found):
    """The error names the part of the file, what it needs and what was found."""
    with pytest.raises(PolicyError) as refused:
        from_mapping(changed(*path, to=to))
    assert str(refused.value) == f"policy: {where}: needs {needed}, found {found!r}"
    assert (refused.value.where, refused.value.needed, refused.value.found) == (where, needed, found)


def test_the_second_version_starts_after_the_first():
    """Each is compared with the one before it, from the second on."""
    with pytest.raises(PolicyError, match=r"versions\[1\]\.from: needs a later day"):
        from_mapping(changed("versions", 1, "from", to=DATA["versions"][0]["from"]))


@pytest.mark.parametrize("number", [1, NUMBER_MAX])
def test_numbers_up_to_the_largest_are_taken(number):
    """Our records can hold each of them."""
    assert from_mapping(changed("mapping_version", to=number)).mapping_version == number


def test_codes_may_have_so_many_bytes_together_and_no_more():
    """An intent repeats them for each entry."""
    room = CODES_BYTES_MAX - sum(len(code) for code in NUMBERS) + len(FIRST)
    assert "x" * room in from_mapping(changed("purposes", 0, "code", to="x" * room)).purposes
    with pytest.raises(PolicyError, match=CODES):
        from_mapping(changed("purposes", 0, "code", to="x" * (room + 1)))


def test_what_is_read_is_what_the_file_says():
    """Each version until the next one starts, the last as long as days are counted; all else as it stands there."""
    policy = from_mapping(DATA)
    starts = [day(str(version["from"])) for version in DATA["versions"]]
    assert [(version.start, version.end) for version in policy.versions.values()] == list(
        zip(starts, [*starts[1:], LAST_DAY + 1], strict=True)
    )
    assert list(policy.versions) == starts
    assert policy.score_inputs == {
        (model, version): inputs
        for model, versions in DATA["score_inputs"].items()
        for version, inputs in versions.items()
    }
    assert (policy.recipient_id, policy.purposes, policy.items) == (
        DATA["recipient_id"],
        NUMBERS,
        frozenset(DATA["items"]),
    )
    assert policy.purpose_codes == tuple(sorted(NUMBERS))
    assert (policy.opt_out_allowed, policy.fields) == (frozenset(DATA["opt_out_allowed"]), POLICY.fields)
    assert policy.texts == DATA["items"] | {purpose["code"]: purpose["text"] for purpose in DATA["purposes"]}


def test_every_purpose_may_be_one_to_opt_out_of():
    """That is for the policy to say."""
    assert from_mapping(changed("opt_out_allowed", to=list(NUMBERS))).opt_out_allowed == NUMBERS.keys()


def test_an_event_type_may_carry_its_matter_alone_or_every_item():
    """Between these two the policy is free."""
    part = DATA["events"]["lease_payment"]
    least = {item: part[item] for item in ("envelope", "payment_history")}
    assert from_mapping(changed("events", "lease_payment", to=least)).event_items[EventType.LEASE_PAYMENT] == {
        "payment_history"
    }
    most = part | {"norel_score": {"score": "text"}, "norel_score_inputs": {"inputs[].value": "text"}}
    taken = from_mapping(changed("events", "lease_payment", to=most))
    assert taken.event_items[EventType.LEASE_PAYMENT] == frozenset(DATA["items"])


def test_a_missing_part_is_refused():
    """Every part of the file is needed."""
    for name in DATA:
        with pytest.raises(PolicyError, match="the file"):
            from_mapping({key: value for key, value in DATA.items() if key != name})


@pytest.mark.parametrize("content", [b"versions: [", b"\xff", b"", b"- a list"])
def test_a_file_that_is_no_policy_is_refused(tmp_path, content):
    """Whatever the file holds, the refusal is a PolicyError."""
    file = tmp_path / "policy.yaml"
    file.write_bytes(content)
    with pytest.raises(PolicyError):
        load(file)


@pytest.mark.parametrize("content", ["CANARY-text", "CANARY: [", "- CANARY\n\t- x", "items: CANARY"])
def test_no_refusal_quotes_a_file_that_is_no_policy(tmp_path, content):
    """It may be a key that was named by mistake."""
    file = tmp_path / "policy.yaml"
    file.write_text(content)
    with pytest.raises(PolicyError) as refused:
        load(file)
    assert "CANARY" not in str(refused.value)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    """The error names the path."""
    with pytest.raises(PolicyError, match=r"missing\.yaml"):
        load(tmp_path / "missing.yaml")


@pytest.mark.parametrize(
    ("old", "new", "line_of", "where"),
    [
        ("code: inquiry_handling", "code: 7", "code: 7", "purposes[4].code"),
        ("mapping_version: 1", "mapping_version: none", "mapping_version: none", "mapping_version"),
        (
            '{from: 2020-06-08, clause: "unknown"}',
            "{from: 2020-06-08, clause: yes}",
            "clause: yes",
            "versions[1].clause",
        ),
        ("opt_out_allowed:", "opt_out_alowed:", "# What may be", "the file"),
        ("recipient_id: genie", "recipient_id: genie\nrecipient_id: other", "recipient_id: other", "each key once"),
    ],
)
def test_a_slip_in_the_file_is_named_with_its_line(tmp_path, old: str, new: str, line_of: str, where: str) -> None:
    """File, line, place, what is needed; a key that is set twice is a slip too."""
    text = GENIE.read_text("utf-8")
    assert old in text
    file = tmp_path / "policy.yaml"
    file.write_text(text.replace(old, new, 1), "utf-8")
    line = next(n for n, each in enumerate(file.read_text("utf-8").splitlines(), 1) if line_of in each)
    with pytest.raises(PolicyError) as refused:
        load(file)
    assert f"{file} line {line}:" in str(refused.value)
    assert where in str(refused.value)
