"""The pages of both interfaces: nothing of the documents is left out."""

import re

import yaml

from gateway import asyncapi, interface_pages, schemas


def test_every_field_of_every_topic_is_on_the_page() -> None:
    """With its item, so that anyone sees what can leave."""
    page = "\n".join(interface_pages.topics())
    for topic, kind in asyncapi.NAMES.record_kinds().items():
        assert f"## `{topic}`" in page
        for path, item in schemas.leaves(kind):
            assert re.search(rf"^\| `{re.escape(path)}` \| .* \| {item} \| .+ \|$", page, re.MULTILINE), path


def test_every_operation_status_and_object_is_on_the_page() -> None:
    """And each link inside it leads to a heading."""
    page = "\n".join(interface_pages.genie())
    document = yaml.safe_load(interface_pages.OPENAPI.read_text("utf-8"))
    for path, methods in document["paths"].items():
        section = page.partition(f"### `POST {path}`")[2].partition("\n### ")[0]
        assert all(f"\n| {status} | " in section for status in methods["post"]["responses"])
    for name, schema in document["components"]["schemas"].items():
        section = page.partition(f"### {name}\n")[2].partition("\n### ")[0]
        assert all(f"| `{member}` | " in section for member in schema.get("properties", {})), name
    headings = {heading.lower() for heading in re.findall(r"^### (\w+)$", page, re.MULTILINE)}
    assert set(re.findall(r"\(#(\w+)\)", page)) <= headings
