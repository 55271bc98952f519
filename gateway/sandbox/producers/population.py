"""Any number of customers from one seed: who they are, where they live, what they lease.

Knows people and contracts. Must not know consent, events or Kafka. A customer follows from (seed, number)
alone, so only those in use are kept in memory. What identifies a person, and what must never leave (e-mail,
bank, licence, memo, ...), is distinct for each customer: the verifier looks for these very values.
"""

from __future__ import annotations

from functools import cache, cached_property, lru_cache
from math import gcd
from random import Random
from typing import Any, NamedTuple

from gateway.sandbox.producers import names
from gateway.sandbox.producers.days import day_of, in_month, month_of
from gateway.sandbox.producers.policy import CLAUSE_FROM
from gateway.sandbox.producers.shares import made_uuid

SUBJECTS_IN_MEMORY = 20_000  # about 3 KB each
MAX_SUBJECTS = 10_000_000  # postal codes are distinct up to here
TWO_CONTRACTS_SHARE = 0.3
PARTNER_SHARE = 0.03  # of contracts: leased from a partner, so owed to it
SIGNED_SINCE_CLAUSE_SHARE = 0.45  # customers who came after the policy named GeNiE
OLDEST_CONTRACT_MONTHS = 30  # before that version

_METHODS = (
    "account_debit",
    "account_debit",
    "account_debit",
    "bank_transfer",
    "convenience_store",
    "card",
    "other",
)
_CHOME, _BANCHI, _GO, _ROOMS = 9, 40, 30, 12


class Contract(NamedTuple):
    """One lease; instalment 1 falls due in the first month."""

    ref: str
    first_month: int
    due_dom: int
    amount_jpy: int
    method: str
    creditor: str
    vehicle: dict[str, Any]


class Subject(NamedTuple):
    """One customer."""

    number: int
    ref: str
    key: bytes
    signed_on: int  # day of the first contract
    customer: dict[str, Any]
    contracts: tuple[Contract, ...]


class WorldError(ValueError):
    """No such world can be made."""


class World:
    """All customers of one seed, as they are at the moment `now` (ms)."""

    def __init__(self, seed: int, count: int, now: int) -> None:
        if not 0 < count <= MAX_SUBJECTS:
            raise WorldError(f"subjects: {count} is not from 1 to {MAX_SUBJECTS}")
        if day_of(now) <= CLAUSE_FROM:
            raise WorldError("the clock says that the policy with the GeNiE clause is not in force: set it right")
        self.seed = seed
        self.count = count
        self.now = now
        self.today = day_of(now)
        self.subject = lru_cache(maxsize=SUBJECTS_IN_MEMORY)(self._subject)

    @cached_property
    def _pools(self) -> names.Pools:
        return names.pools(self.seed)

    def _subject(self, number: int) -> Subject:
        rng = Random((self.seed << 32) | number)
        ref = f"cust-{made_uuid(self.seed, 'subject', number)}"
        signed_on = self._signing_day(rng)
        customer = self._customer(rng, number)
        contracts = tuple(
            self._contract(rng, number, place, signed_on, customer)
            for place in range(2 if rng.random() < TWO_CONTRACTS_SHARE else 1)
        )
        return Subject(number, ref, ref.encode(), signed_on, customer, contracts)

    def _signing_day(self, rng: Random) -> int:
        if rng.random() < SIGNED_SINCE_CLAUSE_SHARE and self.today - CLAUSE_FROM > 70:
            return rng.randint(CLAUSE_FROM + 1, self.today - 62)  # so that an instalment has fallen due
        oldest = in_month(month_of(CLAUSE_FROM) - OLDEST_CONTRACT_MONTHS, 1)
        return rng.randint(oldest, CLAUSE_FROM - 62)

    def _distinct(self, what: int, number: int, size: int) -> int:
        """A number below `size` that no other customer has, as long as there are at most `size` customers."""
        step, offset = _walk(self.seed, what, size)
        return (number * step + offset) % size

    def _customer(self, rng: Random, number: int) -> dict[str, Any]:
        pools = self._pools
        pair = self._distinct(1, number, len(pools.families) * len(pools.givens))
        family, given = pools.families[pair // len(pools.givens)], pools.givens[pair % len(pools.givens)]
        phone = f"{self._distinct(2, number, 300_000_000):09}"
        postal = f"{self._distinct(3, number, MAX_SUBJECTS):07}"
        account = f"{self._distinct(4, number, 10_000_000):07}"
        code = f"{self._distinct(5, number, 36**6):010}"
        has_card = rng.random() < 0.4
        return {
            "name": f"{family.written} {given.written}",
            "name_kana": f"{family.kana} {given.kana}",
            "address": self._address(number),
            "postal_code": f"{postal[:3]}-{postal[3:]}",
            "phone": f"0{7 + int(phone[0])}0-{phone[1:5]}-{phone[5:]}",
            "birth_date": rng.randint(-7_300, 12_700),
            "email": f"{rng.choice(pools.logins)}.{code}@mail.example" if rng.random() < 0.9 else None,
            "bank_account": f"{rng.randint(1, 9_999):04}-{rng.randint(1, 999):03}-{account}",
            "card_last4": f"{rng.randint(0, 9_999):04}" if has_card else None,
            "licence_no": f"{self._distinct(6, number, 10**12):012}" if rng.random() < 0.9 else None,
            "memo": f"{rng.choice(names.MEMOS)}（受付番号 M{code}）" if rng.random() < 0.4 else None,
        }

    def _address(self, number: int) -> str:
        pools = self._pools
        rest = self._distinct(7, number, len(pools.places) * _CHOME * _BANCHI * _GO * _ROOMS)
        rest, chome = divmod(rest, _CHOME)
        rest, banchi = divmod(rest, _BANCHI)
        rest, go = divmod(rest, _GO)
        place, room = divmod(rest, _ROOMS)
        building = pools.buildings[(number + room) % len(pools.buildings)]
        return f"{pools.places[place]}{chome + 1}丁目{banchi + 1}番{go + 1}号 {building}{101 + room}"

    def _contract(self, rng: Random, number: int, place: int, signed_on: int, customer: dict[str, Any]) -> Contract:
        method = rng.choice(_METHODS)
        parked_at = self._distinct(8, number, 10**10)
        vehicle = {
            "vehicle_id": f"VIN{self._distinct(9, number * 2 + place, 10**12):012}",
            "last_location": f"{30 + parked_at // 10**5 / 10**4:.5f},{130 + parked_at % 10**5 / 10**4:.5f}"
            if rng.random() < 0.5
            else None,
        }
        return Contract(
            ref=f"lease-{made_uuid(self.seed, 'contract', number, place)}",
            first_month=month_of(signed_on) + 1,
            due_dom=rng.choice((5, 10, 27)),
            amount_jpy=rng.randrange(19_800, 89_800, 100),
            method="account_debit" if method == "card" and customer["card_last4"] is None else method,
            creditor="partner_lessor" if rng.random() < PARTNER_SHARE else "idom_caas",
            vehicle=vehicle,
        )


@cache
def _walk(seed: int, what: int, size: int) -> tuple[int, int]:
    """A step that shares no factor with `size`, so that none comes twice, and where to begin."""
    rng = Random((seed << 8) | what)
    step = rng.randrange(1, size)
    while gcd(step, size) != 1:
        step += 1
    return step, rng.randrange(size)
