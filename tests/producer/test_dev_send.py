"""`gateway dev send`: all files or nothing, and each mistake with its line."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from gateway import schemas
from gateway.cli import app
from gateway.cli.dev_send import Kind
from gateway.kafka.names import TopicNames
from tests.producer.event_documents import payment, score
from tests.producer.test_sending import end, records


def run(*arguments: object, stdin: str | None = None) -> Result:
    return CliRunner().invoke(app, ["dev", "send", *map(str, arguments)], input=stdin)


def at(kafka: str, topics: TopicNames) -> list[str]:
    return ["--bootstrap", kafka, "--prefix", topics.prefix]


def write(path: Path, *documents: dict[str, Any], indent: int | None = None) -> Path:
    path.write_text("\n".join(json.dumps(each, indent=indent) for each in documents), "utf-8")
    return path


@pytest.mark.parametrize("kind", Kind)
def test_an_example_can_be_sent_as_it_is(kind: Kind, kafka: str, topics: TopicNames) -> None:
    """The shortest way to a first event: print one, send it."""
    example = run("--example", kind)
    assert example.exit_code == 0
    sent = run("-", *at(kafka, topics), stdin=example.stdout)
    assert sent.exit_code == 0, sent.output
    assert "1 event sent" in sent.stdout
    assert ("gateway explain --offset" in sent.stdout) == (kind is not Kind.CONSENT)


def test_several_files_are_sent_in_their_order(kafka: str, topics: TopicNames, tmp_path: Path) -> None:
    """Pretty-printed, NDJSON and standard input together; each place is told with its line."""
    first = write(tmp_path / "first.json", payment(subject_ref="customer-x", installment_no=1), indent=2)
    more = write(tmp_path / "more.ndjson", *(payment(subject_ref="customer-x", installment_no=each) for each in (2, 3)))
    stdin = json.dumps(payment(subject_ref="customer-x", installment_no=4))
    sent = run(first, more, "-", "--service", "billing", "--json", *at(kafka, topics), stdin=stdin)
    assert sent.exit_code == 0, sent.output
    told = json.loads(sent.stdout)
    assert [(Path(each["file"]).name, each["line"]) for each in told["sent"]] == [
        ("first.json", 1),
        ("more.ndjson", 1),
        ("more.ndjson", 2),
        ("-", 1),
    ]
    lie_at = {(each["partition"], each["offset"]) for each in told["sent"]}
    found = asyncio.run(records(kafka, topics.payments, len(told["sent"])))
    ours = [each for each in found if (each.partition, each.offset) in lie_at]
    assert [schemas.decode(each.value)[1]["installment_no"] for each in ours] == [1, 2, 3, 4]
    assert {each.headers for each in ours} == {(("producer", b"billing"),)}


def test_one_mistake_holds_back_all(kafka: str, topics: TopicNames, tmp_path: Path) -> None:
    """Nothing is sent of any file; the mistake has file, line and pointer."""
    before = asyncio.run(end(kafka, topics.payments))
    right, wrong = (
        write(tmp_path / "right.json", payment()),
        write(tmp_path / "wrong.json", payment(due_date=5), indent=2),
    )
    refused = run(right, wrong, *at(kafka, topics))
    assert refused.exit_code == 1
    line = wrong.read_text("utf-8").splitlines().index('  "due_date": 5,') + 1
    assert f"{wrong}:{line}: /due_date: wanted a day in Japan, as 2026-11-27, got a number" in refused.stdout
    assert "1 mistake, 1 event without any: nothing was sent" in refused.stdout
    assert asyncio.run(end(kafka, topics.payments)) == before


def test_mistakes_are_data_on_request(tmp_path: Path) -> None:
    """Every mistake of every file, and where a file stops being JSON."""
    wrong = write(tmp_path / "wrong.ndjson", payment(event_id="x", status="payed"), score(score="high"))
    broken = tmp_path / "broken.json"
    broken.write_text('{"event_id": }', "utf-8")
    refused = run(wrong, broken, "--dry-run", "--json")
    assert refused.exit_code == 1
    told = json.loads(refused.stdout)
    assert [(each["line"], each["pointer"], each["column"]) for each in told["mistakes"]] == [
        (1, "/event_id", None),
        (1, "/status", None),
        (2, "/score", None),
        (1, None, 14),
    ]


def test_a_dry_run_needs_no_kafka(tmp_path: Path) -> None:
    """What is right is said to be so, and nothing is sent."""
    tried = run(write(tmp_path / "right.json", payment()), "--dry-run", "--bootstrap", "127.0.0.1:9")
    assert (tried.exit_code, tried.stdout) == (0, "1 event, nothing wrong; nothing was sent\n")


@pytest.mark.parametrize("text", ["", " \n", "[]"], ids=["nothing", "blank", "a list of none"])
def test_a_file_without_an_event_is_a_mistake(tmp_path: Path, text: str) -> None:
    """Beside one that has some too: somebody believes that they were sent."""
    (tmp_path / "empty.json").write_text(text, "utf-8")
    refused = run(tmp_path / "empty.json", write(tmp_path / "right.json", payment()), "--bootstrap", "127.0.0.1:9")
    assert refused.exit_code == 1
    assert f"{tmp_path / 'empty.json'}:1: (the whole): " in refused.stdout
    assert "1 mistake, 1 event without any: nothing was sent" in refused.stdout


def test_what_a_document_is_can_be_said(tmp_path: Path) -> None:
    """Without its id it could be anything; with --kind the id is what is missing."""
    file = write(tmp_path / "nameless.json", payment(event_id=...))
    assert "or say --kind" in run(file, "--dry-run").stdout
    assert "/event_id: is missing" in run(file, "--dry-run", "--kind", "payment").stdout


def test_what_cannot_be_read_is_wrong_use(tmp_path: Path) -> None:
    """A missing file, one that is not UTF-8, none at all, and a service that is no name."""
    latin = tmp_path / "latin.json"
    latin.write_bytes("{'name': 'é'}".encode("latin-1"))
    right = write(tmp_path / "right.json", payment())
    for arguments, said in (
        ([tmp_path / "gone.json"], "No such file"),
        ([latin], "is not UTF-8"),
        ([], "no file: name some"),
        ([right, "--service", "taro@example"], "service: 1 to 64"),
    ):
        refused = run(*arguments)
        assert refused.exit_code != 0
        assert said in str(refused.exception)


def test_a_kafka_that_is_away_is_unreachable(tmp_path: Path) -> None:
    """Status 3, as for every command."""
    refused = run(write(tmp_path / "right.json", payment()), "--bootstrap", "127.0.0.1:9")
    assert "no Kafka answers at 127.0.0.1:9" in str(refused.exception)
