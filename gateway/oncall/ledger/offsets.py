"""Sets of offsets, what lies at them, and keys, so small that a million inputs are a few MB.

Knows numbers alone. Each store hands out its pages as bytes and takes them back, for a state file.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b

PAGE_BITS = 16
PAGE = 1 << PAGE_BITS  # offsets in a page: 8 KB as bits, 512 KB as digests
_IN_PAGE = PAGE - 1
_BUCKETS = 256
_WORD = "Q"  # 8 bytes
_OFFSET_BITS = 44
_PARTITION_BITS = 18
_PROVIDED, _UNKNOWN = 1 << 62, 1 << 63

Pages = Mapping[str, bytes]


class OffsetSet:
    """Offsets as bits, in pages: only those that hold an offset take memory."""

    __slots__ = ("_pages",)

    def __init__(self, pages: Pages | None = None) -> None:
        self._pages = {int(number): bytearray(content) for number, content in (pages or {}).items()}

    def add(self, offset: int) -> bool:
        """Put it in; False if it was there."""
        page = self._pages.get(offset >> PAGE_BITS)
        if page is None:
            page = self._pages[offset >> PAGE_BITS] = bytearray(PAGE // 8)
        at, bit = (offset & _IN_PAGE) >> 3, 1 << (offset & 7)
        if page[at] & bit:
            return False
        page[at] |= bit
        return True

    def discard(self, offset: int) -> None:
        """Take it out."""
        page = self._pages.get(offset >> PAGE_BITS)
        if page is not None:
            page[(offset & _IN_PAGE) >> 3] &= ~(1 << (offset & 7)) & 0xFF

    def __contains__(self, offset: int) -> bool:
        page = self._pages.get(offset >> PAGE_BITS)
        return page is not None and bool(page[(offset & _IN_PAGE) >> 3] >> (offset & 7) & 1)

    def __len__(self) -> int:
        return sum(int.from_bytes(page, "little").bit_count() for page in self._pages.values())

    def __iter__(self) -> Iterator[int]:
        return self.without()

    def without(self, *others: OffsetSet) -> Iterator[int]:
        """Those that are in none of the others, ascending."""
        for number in sorted(self._pages):
            left = int.from_bytes(self._pages[number], "little")
            for other in others:
                left &= ~int.from_bytes(other._pages.get(number, b""), "little")
            while left:
                lowest = left & -left
                yield (number << PAGE_BITS) + lowest.bit_length() - 1
                left ^= lowest

    def pages(self) -> dict[str, bytes]:
        """For a state file."""
        return {str(number): bytes(page) for number, page in self._pages.items()}


class Digests:
    """The first 8 bytes of a digest for each offset: enough to see that another value was meant."""

    __slots__ = ("_pages",)

    def __init__(self, pages: Pages | None = None) -> None:
        self._pages = {int(number): array(_WORD, content) for number, content in (pages or {}).items()}

    def put(self, offset: int, digest: bytes) -> None:
        page = self._pages.get(offset >> PAGE_BITS)
        if page is None:
            page = self._pages[offset >> PAGE_BITS] = array(_WORD, bytes(8 * PAGE))
        page[offset & _IN_PAGE] = _short(digest)

    def is_same(self, offset: int, digest: bytes) -> bool | None:
        """Whether this digest was put there; None where none was."""
        page = self._pages.get(offset >> PAGE_BITS)
        known = page[offset & _IN_PAGE] if page is not None else 0
        return known == _short(digest) if known else None

    def pages(self) -> dict[str, bytes]:
        """For a state file."""
        return {str(number): page.tobytes() for number, page in self._pages.items()}


def _short(digest: bytes) -> int:
    return int.from_bytes(digest[:8], "big") or 1  # 0: nothing was put there


@dataclass(frozen=True, slots=True)
class KeyPlace:
    """Where the ledger names a key, and whether as provided, or as of unknown outcome."""

    partition: int
    offset: int
    provided: bool
    unknown: bool


class Keys:
    """Which ledger records name the same idempotency key: 16 bytes for each record.

    Keys are told apart by 8 bytes of them, so whoever is told of a group reads its records to be sure.
    """

    __slots__ = ("_buckets",)

    def __init__(self, pages: Pages | None = None) -> None:
        given = pages or {}
        self._buckets = [array(_WORD, given.get(str(number), b"")) for number in range(_BUCKETS)]

    def add(self, key: str, place: KeyPlace) -> None:
        """The ledger has this key there. Raises ValueError for a place that can't be."""
        if place.partition >= 1 << _PARTITION_BITS or place.offset >= 1 << _OFFSET_BITS:
            raise ValueError("no such place in a ledger")
        name = int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), "big")
        where = place.partition << _OFFSET_BITS | place.offset
        where |= (_PROVIDED if place.provided else 0) | (_UNKNOWN if place.unknown else 0)
        self._buckets[name >> 56].extend((name, where))

    def groups(self) -> Iterator[list[KeyPlace]]:
        """The places of each key that is provided more than once, or whose outcome may be unknown still."""
        for bucket in self._buckets:
            pairs = sorted(zip(bucket[::2], bucket[1::2], strict=True))
            first = 0
            for at in range(1, len(pairs) + 1):
                if at < len(pairs) and pairs[at][0] == pairs[first][0]:
                    continue
                group = [_place(where) for _, where in pairs[first:at]]
                if sum(place.provided for place in group) > 1 or any(place.unknown for place in group):
                    yield group
                first = at

    def pages(self) -> dict[str, bytes]:
        """For a state file."""
        return {str(number): bucket.tobytes() for number, bucket in enumerate(self._buckets) if bucket}


def _place(where: int) -> KeyPlace:
    offset = where & (1 << _OFFSET_BITS) - 1
    partition = where >> _OFFSET_BITS & (1 << _PARTITION_BITS) - 1
    return KeyPlace(partition, offset, bool(where & _PROVIDED), bool(where & _UNKNOWN))
