"""The OpenAPI document is sound and says what the sandbox does."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker
from openapi_spec_validator import validate

from gateway import schemas
from gateway.sandbox.genie.contract import document, violation
from gateway.sandbox.genie.problems import EntryRule, Rule
from tests.contract.genie_client import Client, entry, payment, provision, score

URN = "urn:genie:problem:"
EVENTS = {
    "LeasePaymentEvent": ("LeasePaymentItems", "LeasePaymentEnvelope"),
    "NorelScoreUpdate": ("NorelScoreUpdateItems", "NorelScoreUpdateEnvelope"),
}


def conforms(component: str, content: object) -> None:
    """Raise unless `content` fits, by another validator than the sandbox's own."""
    schema = {"$ref": f"#/components/schemas/{component}", "components": document()["components"]}
    Draft202012Validator(schema, format_checker=FormatChecker()).validate(content)


def objects(node: object) -> Iterator[dict[str, Any]]:
    """Every object schema in a part of the document."""
    if isinstance(node, dict):
        if node.get("type") == "object":
            yield node
        for child in node.values():
            yield from objects(child)
    elif isinstance(node, list):
        for child in node:
            yield from objects(child)


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        schema = document()["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def test_it_is_valid_openapi() -> None:
    """An independent validator accepts the document as OpenAPI 3.1."""
    validate(document())


def test_every_object_is_closed() -> None:
    """No object schema lets a member pass that it does not name."""
    found = list(objects(document()["components"]["schemas"]))
    assert len(found) > 20
    assert all(schema["additionalProperties"] is False for schema in found)


@pytest.mark.parametrize("event", EVENTS)
def test_items_have_the_fields_of_the_item_table(event: str) -> None:
    """Each item of a body has exactly the fields that the Avro schemas label with it, and no others exist."""
    items, envelope = (resolved({"$ref": f"#/components/schemas/{name}"}) for name in EVENTS[event])
    found = {"envelope": set(envelope["properties"])}
    for item, schema in items["properties"].items():
        target = resolved(schema)
        found[item] = set(resolved(target.get("items", target))["properties"])
    table: dict[str, set[str]] = {}
    for path, item in schemas.leaves(event):
        table.setdefault(item or "", set()).add(path.rpartition(".")[2])
    del table["internal"]
    assert found == table


def test_problems_are_the_closed_lists() -> None:
    """The document lists exactly the problems that the sandbox knows."""
    listed = document()["components"]["schemas"]
    assert listed["ProblemType"]["enum"] == [URN + rule.slug for rule in Rule]
    assert listed["EntryProblemType"]["enum"] == [URN + rule.slug for rule in EntryRule]


def test_each_problem_stands_under_its_status() -> None:
    """The response of each status names the problems that have this status."""
    operation = document()["paths"]["/v1/provisions"]["post"]["responses"]
    found = {}
    for status, response in operation.items():
        if status != "200":
            name = response["$ref"].rpartition("/")[2]
            description = document()["components"]["responses"][name]["description"]
            found |= {slug: int(status) for slug in re.findall(r"`([a-z-]+)`", description)}
    assert found == {rule.slug: rule.status for rule in Rule}


async def test_answers_conform(genie: Client) -> None:
    """Every kind of entry status, lookup status and problem is answered in the documented form."""
    first = await genie.provide(entry("a"), entry("s2", score(sequence=2)), entry("s1", score(sequence=1)))
    assert first.statuses == ["accepted", "accepted", "superseded"]
    again = await genie.provide(entry("a"), entry("a", payment(status="unpaid")), entry("b"))
    assert again.statuses == ["duplicate", "rejected", "retry"]
    await genie.set_faults(entry_rejected={"share": 1})
    refused = await genie.provide(entry("c"))
    for reply in (first, again, refused):
        conforms("ProvisionBatchResult", reply.json)
    single = await genie.post("/v1/provisions", provision(entry("d")))
    conforms("SingleProvisionResult", single.json)
    conforms("LookupResult", (await genie.look_up("a", "nobody")).json)
    conforms("Problem", (await genie.post("/v1/nowhere", provision(entry("d")))).json)


def test_a_violation_names_the_place_and_no_value() -> None:
    """What a refusal says of a wrong content is a path and a keyword of the schema."""
    body = payment(status="gone")
    content = provision(entry("a") | {"body": body})
    assert violation("ProvisionBatch", content) == "at /entries/0/body/items/payment_history/status: enum"
    content = provision(entry("a") | {"body": payment(taro="090")})
    found = violation("ProvisionBatch", content)
    assert found == "at /entries/0/body/items/payment_history: additionalProperties"
