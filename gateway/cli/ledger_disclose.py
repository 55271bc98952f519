"""`gateway ledger disclose`: what was provided of a customer, as a document for them, or for GeNiE if they withdrew."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.answers import AsJson, answer
from gateway.cli.desk_options import Index, OperatorName, Ticket, Why, at_desk, operator
from gateway.cli.errors import CommandError, Exit
from gateway.cli.kafka_options import Bootstrap, Group, Prefix, Registry, set_or
from gateway.cli.policy_option import PolicyFile, policy_in
from gateway.oncall.disclosure.handing_out import Form

if TYPE_CHECKING:
    from gateway.oncall.disclosure.answer import Provider
    from gateway.oncall.disclosure.contracts import Whose
    from gateway.oncall.disclosure.requests import Keys, Made

DISCLOSURE_REASON = "request for disclosure of provision records (APPI art. 33(5))"
NOTICE_REASON = "request to stop provision to third parties (APPI art. 35)"

Subject = Annotated[str, typer.Option("--subject", show_default=False, help="The customer's reference.")]
Contract = Annotated[str, typer.Option("--contract", show_default=False, help="A contract of the customer's, instead.")]
Contracts = Annotated[
    Path | None,
    typer.Option(
        show_default=False,
        help="Whose each contract is: CSV, columns contract_ref and subject_ref; none: the list in the index.",
    ),
]
StopNotice = Annotated[
    bool, typer.Option("--stop-notice", help="The notice to GeNiE of what it holds of a customer who withdrew.")
]
Format = Annotated[Form, typer.Option("--format", help="pdf; csv for a spreadsheet; json.")]
Out = Annotated[
    Path | None,
    typer.Option(show_default=False, help="File to write, readable by you alone; none: csv and json are printed."),
]
Force = Annotated[bool, typer.Option("--force", help="Replace the file if there is one.")]
ProviderName = Annotated[
    str,
    typer.Option(
        envvar="GATEWAY_PROVIDER__NAME",
        default_factory=set_or("provider.name", ""),
        show_default=False,
        help="Who we are.",
    ),
]
ProviderAddress = Annotated[
    str,
    typer.Option(
        envvar="GATEWAY_PROVIDER__ADDRESS",
        default_factory=set_or("provider.address", ""),
        show_default=False,
        help="Our registered address.",
    ),
]
ProviderRepresentative = Annotated[
    str,
    typer.Option(
        envvar="GATEWAY_PROVIDER__REPRESENTATIVE",
        default_factory=set_or("provider.representative", ""),
        show_default=False,
        help="Title and name of our representative.",
    ),
]
IdempotencyKeyFile = Annotated[
    str,
    typer.Option(
        envvar="GATEWAY_KEYS__IDEMPOTENCY_KEY_FILE",
        default_factory=set_or("keys.idempotency_key_file", ""),
        show_default=False,
        help="With --stop-notice: the gateway's key of events' names.",
    ),
]
PseudonymKeyFile = Annotated[
    str,
    typer.Option(
        envvar="GATEWAY_KEYS__PSEUDONYM_KEY_FILE",
        default_factory=set_or("keys.pseudonym_key_file", ""),
        show_default=False,
        help="With --stop-notice: the gateway's key of customers' names.",
    ),
]


def disclose(
    *,
    subject: Subject = "",
    contract: Contract = "",
    contracts: Contracts = None,
    stop_notice: StopNotice = False,
    form: Format = Form.PDF,
    out: Out = None,
    force: Force = False,
    operator_name: OperatorName,
    ticket: Ticket,
    reason: Why = "",
    index: Index = "",
    provider_name: ProviderName,
    provider_address: ProviderAddress,
    provider_representative: ProviderRepresentative,
    policy_file: PolicyFile,
    idempotency_key_file: IdempotencyKeyFile,
    pseudonym_key_file: PseudonymKeyFile,
    bootstrap: Bootstrap,
    prefix: Prefix,
    group: Group,
    registry: Registry,
    as_json: AsJson = False,
) -> None:
    """Answer a request for 第三者提供記録の開示: what was provided of a customer, to whom, when, why, by which consent.

    Check first who asks. Attempts whose outcome nobody knows are listed as such; what was withheld is not in it. With
    --stop-notice it is the notice to GeNiE of what it holds of a customer who withdrew: by the names that GeNiE knows,
    with the corrections that were not sent any more.

    Written to the audit before it is made; --reason is the law's request unless you say another.

    Example: gateway ledger disclose --subject S-0012345678 --ticket PRV-42 --out answer.pdf
    """
    from gateway.oncall.disclosure.contracts import ContractsError
    from gateway.oncall.disclosure.handing_out import OutError, formed, look_at_place, write_out
    from gateway.oncall.disclosure.requests import Asked, NotWithdrawnError, answer_customer, notify_genie
    from gateway.oncall.disclosure.typeset import CannotTypesetError, look_for_typesetter

    if out is None and (form is Form.PDF or as_json):
        raise CommandError(Exit.WRONG_USE, "give --out FILE: a PDF is no text, and --json tells what was written")
    asked = Asked(
        _whose(subject, contract, contracts),
        operator(operator_name, reason or (NOTICE_REASON if stop_notice else DISCLOSURE_REASON), ticket),
        index,
        group,
        _provider(provider_name, provider_address, provider_representative),
        policy_in(policy_file),
    )
    keys = _keys(idempotency_key_file, pseudonym_key_file) if stop_notice else None
    try:
        if out is not None:
            look_at_place(out, force=force)
        if form is Form.PDF:
            look_for_typesetter()
        made = at_desk(
            bootstrap,
            prefix,
            registry,
            lambda desk: answer_customer(desk, asked) if keys is None else notify_genie(desk, asked, keys),
            (NotWithdrawnError, ContractsError),
        )
        content = formed(made.document, form)
        if out is not None:
            write_out(out, content, force=force)
    except OutError as error:
        raise CommandError(Exit.WRONG_USE, str(error)) from error
    except CannotTypesetError as error:
        raise CommandError(Exit.FOUND_WRONG, str(error)) from error
    if out is None:
        sys.stdout.buffer.write(content)
        sys.stdout.flush()
        print(_told(made), file=sys.stderr, flush=True)
    else:
        told = {"file": str(out), "format": form.value, "bytes": len(content)}
        text = f"{_told(made)}\nwritten to {out} ({form.value}, {len(content):,} bytes)"
        answer(text, {**_numbers(made), **told}, as_json=as_json)


def _whose(subject: str, contract: str, contracts: Path | None) -> Whose:
    from gateway.core.events import check_ref
    from gateway.oncall.disclosure.contracts import Whose

    if bool(subject) == bool(contract):
        raise CommandError(Exit.WRONG_USE, "give --subject or --contract, one of them")
    if check_ref(subject or contract) is None:
        raise CommandError(
            Exit.WRONG_USE,
            "a reference is 6 to 64 of A-Z a-z 0-9 _ -, with at least one letter: never a name or a phone",
        )
    return Whose(subject, contract, contracts)


def _provider(name: str, address: str, representative: str) -> Provider:
    from gateway.oncall.disclosure.answer import Provider

    given = {"NAME": name, "ADDRESS": address, "REPRESENTATIVE": representative}
    missing = [f"GATEWAY_PROVIDER__{part}" for part, value in given.items() if not value]
    if missing:
        raise CommandError(
            Exit.WRONG_USE,
            f"the document says who we are: set {', '.join(missing)} as the gateway has them, or name the gateway's "
            "file in GATEWAY_CONFIG",
        )
    return Provider(name, address, representative)


def _keys(idempotency: str, pseudonym: str) -> Keys:
    from gateway.oncall.disclosure.requests import Keys
    from gateway.secret_keys import SecretKeyError, read_secret

    if not (idempotency and pseudonym):
        raise CommandError(
            Exit.WRONG_USE,
            "the notice calls the customer and the events as GeNiE does: set GATEWAY_KEYS__IDEMPOTENCY_KEY_FILE and "
            "GATEWAY_KEYS__PSEUDONYM_KEY_FILE to the gateway's key files",
        )
    try:
        return Keys(read_secret(Path(idempotency)), read_secret(Path(pseudonym)))
    except SecretKeyError as error:
        raise CommandError(Exit.WRONG_USE, str(error)) from error


def _numbers(made: Made) -> dict[str, object]:
    document, books = made.document, made.gathered.books
    return {
        "document": document["document"]["id"],
        "kind": document["document"]["kind"],
        "subject_ref": made.subject_ref,
        "audit_id": made.audit_id,
        "ledger": made.gathered.source,
        "ledger_records": made.gathered.records,
        "transmissions": _kinds(made),
        "unsettled": len(books.unsettled),
        "corrections_withheld": len(books.corrections_withheld),
        "unreadable_ledger_records": made.gathered.reading.unreadable,
        "in_flight_known": made.gathered.reading.in_flight_known,
    }


def _kinds(made: Made) -> Mapping[str, int]:
    return Counter(each.kind.value for each in made.gathered.books.provisions)


def _told(made: Made) -> str:
    """For the operator, who reads it before the document goes out."""
    books, reading = made.gathered.books, made.gathered.reading
    sent = ", ".join(f"{kind} {count}" for kind, count in _kinds(made).items()) or "nothing"
    lines = [
        f"{made.document['document']['id']} about {made.subject_ref}; audit {made.audit_id}",
        f"{made.gathered.records} ledger records, {made.gathered.source}",
        f"sent: {sent}; unsettled: {len(books.unsettled)}; corrections withheld: {len(books.corrections_withheld)}",
    ]
    if not made.gathered.records:
        lines.append("the ledger has nothing at all under this reference: check that it is the right one")
    if not reading.in_flight_known:
        lines.append(
            "what is being sent now could not be seen, and the document says so: is --group the gateway's, and are its "
            "lanes set (gateway lanes init)?"
        )
    if reading.unreadable:
        lines.append(f"{reading.unreadable} ledger records can't be read, and the document says so")
    return "\n".join(lines)
