"""The answer to a customer, and the notice to GeNiE: what is in them, in each form, and what never is."""

import base64
import csv
import io
import re
import stat
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import orjson
import pypdf
import pytest

from gateway.core.events import EventType
from gateway.core.identity import Identity
from gateway.oncall.disclosure.answer import Provider, Reading
from gateway.oncall.disclosure.gathering import Gathered
from gateway.oncall.disclosure.handing_out import Form, formed
from gateway.oncall.disclosure.notice import stop_notice
from gateway.oncall.disclosure.provisions import Books, Unsettled
from gateway.oncall.disclosure.requests import _nothing_to_tell
from gateway.policies import load
from tests.oncall import disclosure_story as story
from tests.oncall import golden
from tests.oncall.desk_world import OPERATOR, RECIPIENT, T0, DeskWorld, Result, number_id

PROVIDER = {
    "GATEWAY_PROVIDER__NAME": "株式会社 IDOM CaaS Technology",
    "GATEWAY_PROVIDER__ADDRESS": "東京都架空区見本町二丁目2番2号",
    "GATEWAY_PROVIDER__REPRESENTATIVE": "代表取締役 見本 花子",
}
ASKER = ["--operator", "ann", "--ticket", "PRV-2026-0042"]
KEY, PSEUDONYM = b"k" * 32, b"p" * 32
FORMS = ("json", "csv", "pdf")


@pytest.fixture(scope="module")
def world(desk_world: DeskWorld) -> DeskWorld:
    return story.told(desk_world)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    directory = tmp_path_factory.mktemp("keys")
    files = {"IDEMPOTENCY": KEY, "PSEUDONYM": PSEUDONYM}
    for name, key in files.items():
        (directory / name).write_bytes(base64.b64encode(key))
    return {f"GATEWAY_KEYS__{name}_KEY_FILE": str(directory / name) for name in files}


def disclose(world: DeskWorld, *arguments: str, **environment: str) -> Result:
    settings = {**PROVIDER, "GATEWAY_KAFKA__GROUP_ID": f"{world.prefix}{story.GROUP}", **environment}
    result = world.run(["ledger", "disclose", *ASKER, *arguments], **settings)
    stdout, stderr = (re.sub(r"audit [0-9a-f-]{36}", "audit (id)", text) for text in (result.stdout, result.stderr))
    return Result(stdout, stderr, result.status)


@pytest.fixture(scope="module")
def answers(world: DeskWorld, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The answer to the customer, in each form."""
    return _made(world, tmp_path_factory.mktemp("answers"), "--subject", story.CUSTOMER)


@pytest.fixture(scope="module")
def notices(world: DeskWorld, tmp_path_factory: pytest.TempPathFactory, keys: dict[str, str]) -> dict[str, bytes]:
    """The notice to GeNiE, in each form."""
    directory = tmp_path_factory.mktemp("notices")
    contracts = _contracts(directory)
    asked = ("--contract", story.CONTRACT, "--contracts", str(contracts), "--stop-notice")
    return _made(world, directory, *asked, **keys)


def _made(world: DeskWorld, directory: Path, *arguments: str, **environment: str) -> dict[str, bytes]:
    made = {}
    for form in FORMS:
        path = directory / f"made.{form}"
        ended = disclose(world, *arguments, "--format", form, "--out", str(path), **environment)
        assert ended.status == 0, ended.stderr
        made[form] = path.read_bytes()
    return made


def _contracts(directory: Path) -> Path:
    path = directory / "contracts.csv"
    path.write_text(f"\ufeffcontract_ref,subject_ref\n{story.CONTRACT},{story.CUSTOMER}\nC-other-1,{story.OTHER}\n")
    return path


# --- what the customer gets -----------------------------------------------------------------------------------


def test_the_answer_as_json(world: DeskWorld, answers: dict[str, bytes]) -> None:
    """All that the law wants told, word by word."""
    golden.check("disclosure.json", world.scrubbed(answers["json"].decode()))


def test_the_answer_as_csv(world: DeskWorld, answers: dict[str, bytes]) -> None:
    """With the mark by which a spreadsheet knows UTF-8."""
    assert answers["csv"].startswith(b"\xef\xbb\xbf")
    golden.check("disclosure.csv", answers["csv"].decode().replace("\r\n", "\n"))


def test_the_answer_as_pdf(answers: dict[str, bytes]) -> None:
    """Its text, as whoever receives it would copy it out."""
    golden.check("disclosure.pdf.txt", text_of(answers["pdf"]))


@pytest.mark.parametrize("kind", ["answers", "notices"])
def test_all_that_is_told_can_be_read_in_the_pdf(kind: str, request: pytest.FixtureRequest) -> None:
    """Each string of the data that has Japanese in it, and each reference."""
    made = request.getfixturevalue(kind)
    text = squeezed(text_of(made["pdf"]))
    document = orjson.loads(made["json"])
    addressee = set() if kind == "answers" else {document["recipient"][name] for name in ("address", "representative")}
    assert {each for each in japanese(document) if squeezed(each) not in text} == addressee
    references = {"idempotency_key", "origin", "subject_key", "receipt_id", "record_id", "corrects_idempotency_key"}
    assert {each for each in named(document, references) if each not in text} == set()


@pytest.mark.parametrize("kind", ["answers", "notices"])
def test_the_pdf_carries_its_font_and_its_names(kind: str, request: pytest.FixtureRequest) -> None:
    """Whoever opens it needs no font, and an archive or a screen reader finds what it looks for."""
    reader = pypdf.PdfReader(io.BytesIO(request.getfixturevalue(kind)["pdf"]))
    fonts = [font for page in reader.pages for font in _fonts(page)]
    assert fonts
    assert all("IPAexGothic" in font["/BaseFont"] and _is_embedded(font) for font in fonts)
    root = reader.trailer["/Root"]
    assert root["/Lang"] == "ja-JP"
    assert root["/MarkInfo"]["/Marked"]
    assert reader.metadata.author == PROVIDER["GATEWAY_PROVIDER__NAME"]
    assert reader.metadata.title
    xmp = reader.xmp_metadata.stream.get_data().decode()
    assert "pdfaid" in xmp
    assert "pdfuaid" in xmp
    for number, page in enumerate(reader.pages, 1):
        assert f"{number}/{len(reader.pages)}ページ" in squeezed(page.extract_text())


def test_the_same_data_make_the_same_bytes(world: DeskWorld, answers: dict[str, bytes], tmp_path: Path) -> None:
    """In each form; the document's id is a digest of what it says."""
    assert _made(world, tmp_path, "--subject", story.CUSTOMER) == answers
    later = tmp_path / "later.json"
    world.now += 1_000
    disclose(world, "--subject", story.CUSTOMER, "--format", "json", "--out", str(later))
    world.now -= 1_000
    ids = [orjson.loads(each)["document"]["id"] for each in (answers["json"], later.read_bytes())]
    assert len(set(ids)) == 2


def test_what_was_withheld_or_is_another_s_is_not_in_it(answers: dict[str, bytes]) -> None:
    """Nor what a replay found out not to have been received."""
    document = orjson.loads(answers["json"])
    kinds = [each["kind"] for each in document["provisions"]]
    assert sorted(kinds) == [*["correction"], *["duplicate"], *["provided"] * 4, "refused", "superseded"]
    assert [each["doubt"] for each in document["unsettled"]] == ["outcome_unknown", "in_flight"]
    whole = answers["json"].decode() + answers["csv"].decode() + text_of(answers["pdf"])
    assert story.OTHER not in whole
    assert "before_consent" not in whole
    assert [each["receipt_id"] for each in document["provisions"] if each["confirmed_later"]] == ["receipt-found"]


def test_no_value_of_an_item_is_in_any_document(answers: dict[str, bytes], notices: dict[str, bytes]) -> None:
    """Categories alone; and nothing that only we know in what GeNiE gets."""
    for made in (answers, notices):
        whole = made["json"].decode() + made["csv"].decode() + text_of(made["pdf"])
        assert not [value for value in ("山田", "ヤマダ", "丸の内", "03-0000-0000", "1985") if value in whole]
    noticed = notices["json"].decode() + notices["csv"].decode() + text_of(notices["pdf"])
    identity = Identity(KEY, PSEUDONYM, "genie", "any")
    assert identity.contract_key(story.CONTRACT) not in noticed  # nothing of it may ever have been provided
    ours = (story.CUSTOMER, story.CONTRACT, number_id(1), "lease.payments", "genie.replay", "credit-gateway")
    assert not [each for each in ours if each in noticed]


def test_nothing_provided_is_said_in_words(world: DeskWorld, tmp_path: Path) -> None:
    """But not more than is known: the ledger has a record that can't be read. The operator hears that the reference is
    unknown, too."""
    made = _made(world, tmp_path, "--subject", story.NEVER)
    document = orjson.loads(made["json"])
    assert document["provided"] is False
    assert "台帳には読み取ることのできない記録があり" in document["headline"]
    assert squeezed(document["headline"]) in squeezed(text_of(made["pdf"]))
    assert document["headline"] in made["csv"].decode()
    golden.check("disclosure_of_nobody.pdf.txt", text_of(made["pdf"]))
    ended = disclose(world, "--subject", story.NEVER, "--out", str(tmp_path / "again.pdf"))
    told = re.sub(r"[0-9,]+ bytes", "(some) bytes", ended.stdout.replace(str(tmp_path), "(dir)"))
    golden.check("disclosure_of_nobody.txt", told)


def test_a_customer_is_found_by_a_contract(world: DeskWorld, answers: dict[str, bytes], tmp_path: Path) -> None:
    """By a list; printed, if no file is named."""
    asked = ("--contract", story.CONTRACT, "--contracts", str(_contracts(tmp_path)), "--format", "json")
    ended = disclose(world, *asked)
    assert ended.stdout == world.scrubbed(answers["json"].decode())
    golden.check("disclosure.stderr.txt", ended.stderr)


def test_a_contract_of_nobody_or_of_several_is_refused(world: DeskWorld, tmp_path: Path) -> None:
    """An answer holds the records of one customer alone."""
    path = _contracts(tmp_path)
    asked = ("--contract", "C-unheard-of", "--contracts", str(path), "--format", "json")
    assert disclose(world, *asked).status == 1
    path.write_text("contract_ref,subject_ref\nC-unheard-of,S-0000001a\nC-unheard-of,S-0000002b\n")
    ended = disclose(world, *asked)
    assert (ended.status, ended.stdout) == (1, "")
    assert "has 2 customers for contract" in ended.stderr
    path.write_text("contract_ref,subject_ref\nC-unheard-of,山田太郎\n")
    ended = disclose(world, *asked)
    assert "line 2" in ended.stderr
    assert "山田" not in ended.stderr
    path.write_text("contract,subject\n")
    assert "must name the columns" in disclose(world, *asked).stderr


def test_the_index_knows_the_ledger_and_whose_a_contract_is(
    world: DeskWorld, answers: dict[str, bytes], notices: dict[str, bytes], keys: dict[str, str], tmp_path: Path
) -> None:
    """So that neither is to be read or exported again."""
    asked = ("--contract", story.CONTRACT, "--index", f"sqlite:///{tmp_path}/index.sqlite", "--format", "json")
    ended = disclose(world, *asked)
    assert ended.status == 1
    assert "gateway ledger index --import-contracts" in ended.stderr
    index = ["ledger", "index", *asked[2:4]]
    assert world.run([*index, "--once"]).status == 0
    taken = world.run([*index, "--import-contracts", str(_contracts(tmp_path)), *OPERATOR])
    assert taken.status == 0, taken.stderr
    assert disclose(world, *asked).stdout == world.scrubbed(answers["json"].decode())
    assert disclose(world, *asked, "--stop-notice", **keys).stdout == world.scrubbed(notices["json"].decode())


# --- what GeNiE gets ------------------------------------------------------------------------------------------


def test_the_notice_as_json(world: DeskWorld, notices: dict[str, bytes]) -> None:
    """By the names that GeNiE knows; those that hang on the run's cluster are compared with the formulas."""
    document = orjson.loads(notices["json"])
    identity = Identity(KEY, PSEUDONYM, "genie", world.cluster_id)
    assert document["subject_key"] == identity.subject_key(story.CUSTOMER)
    assert "第三者提供に係る同意が撤回されました" in document["occasion"]
    origins = {each["idempotency_key"]: each["origin"] for each in document["held"]}
    assert origins[f"key-of-{number_id(1_000)}"] == identity.origin(world.names.payments, 0, 0)
    golden.check("stop_notice.json", without_origins(notices["json"].decode(), document))


def test_the_notice_as_csv(notices: dict[str, bytes]) -> None:
    """A spreadsheet must not run a key that begins like a formula."""
    text = notices["csv"].decode("utf-8-sig")
    golden.check("stop_notice.csv", without_origins(text, orjson.loads(notices["json"])).replace("\r\n", "\n"))
    cells = [cell for row in csv.reader(io.StringIO(text)) for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]


def test_the_notice_says_what_a_withheld_correction_corrects(notices: dict[str, bytes]) -> None:
    """So that GeNiE knows which of its records is wrong."""
    document = orjson.loads(notices["json"])
    identity = Identity(KEY, PSEUDONYM, "genie", "any")
    (correction,) = document["corrections_withheld"]
    wrong = identity.idempotency_key(EventType.LEASE_PAYMENT, number_id(1_000))
    assert correction["corrects_idempotency_key"] == wrong
    assert document["withdrawn_at_text"] == "2026年5月1日 10時00分00秒"


def test_no_notice_before_the_withdrawal(world: DeskWorld, keys: dict[str, str]) -> None:
    """The next event would contradict it."""
    world.add_consent(story.OTHER, record_id=number_id(3))
    ended = disclose(world, "--subject", story.OTHER, "--stop-notice", "--format", "json", **keys)
    assert ended.status == 1
    assert "not withdrawn (given)" in ended.stderr


def test_no_notice_of_nothing_unless_something_may_be_under_way_or_can_not_be_read(
    world: DeskWorld, keys: dict[str, str]
) -> None:
    """Then the operator is to ask again, and is not told that there is nothing."""
    asked = ("--subject", story.NEVER, "--stop-notice", "--format", "json")
    ended = disclose(world, *asked, **keys)
    assert ended.status == 1
    assert "of its records can't be" in ended.stderr
    ended = disclose(world, *asked, **keys, GATEWAY_KAFKA__GROUP_ID="another")
    assert ended.status == 1
    assert "ask again" in ended.stderr
    assert "nothing to give notice of" not in ended.stderr


@pytest.mark.parametrize(
    ("unsettled", "known", "unreadable", "told"),
    [
        (True, True, 0, "a send to GeNiE is under way"),
        (False, False, 0, "may be under way"),
        (False, True, 1, "can't be"),
        (False, True, 0, "nothing to give notice of"),
    ],
)
def test_why_there_is_no_notice(unsettled: bool, known: bool, unreadable: int, told: str) -> None:
    """Nothing was sent, for good, only if nothing can have been missed."""
    attempts = (Mock(spec=Unsettled),) if unsettled else ()
    reading = Reading(T0, T0, unreadable, known, corrections_known=True)
    gathered = Gathered(Books((), attempts, ()), reading, {}, None, 0, "")
    assert told in str(_nothing_to_tell(gathered))


def test_a_notice_without_a_withdrawal_on_record_does_not_claim_one() -> None:
    """The consent is erased, or there never was one."""
    reading = Reading(T0, T0, 0, in_flight_known=True, corrections_known=True)
    document = stop_notice(
        story.CUSTOMER,
        False,
        None,
        "T-1",
        Books((), (), ()),
        {},
        reading,
        Provider("株式会社", "東京都", "代表"),
        RECIPIENT,
        load(),
        lambda cluster_id: Identity(KEY, PSEUDONYM, "genie", cluster_id),
        "c",
    )
    assert document["occasion"] == "第三者提供に係る有効な同意の記録が当社にありません"
    text = squeezed(text_of(formed(document, Form.PDF)))
    assert "同意が撤回されました" not in text
    assert "本人に係るすべての契約" in text


# --- how it is handed out -------------------------------------------------------------------------------------


def test_it_is_in_the_audit_before_it_is_made(world: DeskWorld, tmp_path: Path) -> None:
    """Who asked and by which law, even if no document came of it."""
    before = len(world.records(world.names.audit))
    disclose(world, "--subject", story.CUSTOMER, "--format", "json")
    (record,) = world.records(world.names.audit)[before:]
    assert (record["operator"], record["command"], record["subject_ref"]) == ("ann", "ledger disclose", story.CUSTOMER)
    assert record["ticket"] == "PRV-2026-0042"
    assert record["reason"] == "request for disclosure of provision records (APPI art. 33(5))"


def test_the_file_is_its_owner_s_alone_and_is_not_replaced(world: DeskWorld, tmp_path: Path) -> None:
    """Unless somebody insists; then it is theirs alone, too."""
    path = tmp_path / "answer.json"
    asked = ("--subject", story.NEVER, "--format", "json", "--out", str(path))
    assert disclose(world, *asked).status == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.write_text("another")
    path.chmod(0o644)
    ended = disclose(world, *asked)
    assert (ended.status, path.read_text()) == (2, "another")
    told = orjson.loads(disclose(world, *asked, "--force", "--json").stdout)
    assert told["bytes"] == path.stat().st_size
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["answer.json"]


def test_without_the_typesetter_it_says_what_to_install(
    world: DeskWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is read or written down."""
    from gateway.oncall.disclosure import typeset

    typeset._tools.cache_clear()
    monkeypatch.setattr(typeset, "find_spec", lambda name: None)
    before = len(world.records(world.names.audit))
    ended = disclose(world, "--subject", story.CUSTOMER, "--out", str(tmp_path / "a.pdf"))
    typeset._tools.cache_clear()
    assert ended.status == 1
    assert "pip install 'credit-gateway[desk]'" in ended.stderr
    assert len(world.records(world.names.audit)) == before


def test_a_character_without_a_glyph_is_told_and_not_left_out(world: DeskWorld, tmp_path: Path) -> None:
    """A box in the place of somebody's name would be worse than no PDF."""
    strange = {"GATEWAY_PROVIDER__REPRESENTATIVE": "𠮷 太郎"}
    ended = disclose(world, "--subject", story.NEVER, "--out", str(tmp_path / "a.pdf"), **strange)
    assert ended.status == 1
    assert "𠮷" in ended.stderr
    assert "--format csv or json" in ended.stderr
    assert not (tmp_path / "a.pdf").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "--subject or --contract"),
        (("--subject", "S-0000001a", "--contract", "C-2026-0001"), "--subject or --contract"),
        (("--subject", "090-0000-0000"), "a reference is"),
        (("--subject", "S-0000001a", "--stop-notice"), "GATEWAY_KEYS__IDEMPOTENCY_KEY_FILE"),
    ],
)
def test_wrong_use_is_told(world: DeskWorld, arguments: tuple[str, ...], told: str) -> None:
    """With what to give."""
    ended = disclose(world, *arguments, "--format", "json")
    assert ended.status == 2
    assert told in ended.stderr


def test_who_we_are_must_be_set(world: DeskWorld) -> None:
    """The names of the settings are the gateway's own."""
    ended = disclose(world, "--subject", story.NEVER, "--format", "json", GATEWAY_PROVIDER__NAME="")
    assert ended.status == 2
    assert "GATEWAY_PROVIDER__NAME" in ended.stderr


def test_attempts_under_way_that_can_not_be_seen_are_told(world: DeskWorld) -> None:
    """By the document, and to the operator."""
    ended = disclose(world, "--subject", story.CUSTOMER, "--format", "json", GATEWAY_KAFKA__GROUP_ID="another")
    assert "is --group the gateway's" in ended.stderr
    document = orjson.loads(ended.stdout)
    assert [each["doubt"] for each in document["unsettled"]] == ["outcome_unknown"]
    assert "調査の時点で送信の手続中であったものの有無は、確認できていません。" in document["statements"]


# --- inside ---------------------------------------------------------------------------------------------------


@cache
def text_of(pdf: bytes) -> str:
    pages = pypdf.PdfReader(io.BytesIO(pdf)).pages
    return "\n\f".join(page.extract_text() for page in pages) + "\n"


def squeezed(text: str) -> str:
    """Where lines break is the typesetter's matter."""
    return re.sub(r"\s", "", text)


def without_origins(text: str, document: Mapping[str, Any]) -> str:
    """Origins, and ids by what is told, differ with the cluster's id and the topics' prefix."""
    for number, origin in enumerate(named(document, {"origin"})):
        text = text.replace(f"'{origin}", origin).replace(origin, f"(origin {number})")
    return text.replace(document["document"]["id"], "(document id)")


def japanese(value: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        for each in value.values():
            yield from japanese(each)
    elif isinstance(value, list):
        for each in value:
            yield from japanese(each)
    elif isinstance(value, str) and re.search(r"[^\x00-\x7f]", value):
        yield value


def named(value: object, names: set[str]) -> list[str]:
    if isinstance(value, Mapping):
        found = [each for name, each in value.items() if name in names and isinstance(each, str)]
        return found + [each for inner in value.values() for each in named(inner, names)]
    return [each for inner in value for each in named(inner, names)] if isinstance(value, list) else []


def _fonts(page: Any) -> list[Any]:
    return [font.get_object() for font in page["/Resources"]["/Font"].values()]


def _is_embedded(font: Any) -> bool:
    descriptor = font["/DescendantFonts"][0].get_object()["/FontDescriptor"].get_object()
    return any(name in descriptor for name in ("/FontFile2", "/FontFile3"))
