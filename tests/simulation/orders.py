"""Orders for the named points of the lane protocol (tests/chaos/points.py), by simulated process.

Knows who has come to which point. The points are laid once in this interpreter and ask whatever orders stand; without
any they are passed. Must not know who orders.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from tests.chaos import points
from tests.chaos.points import Point
from tests.simulation.loop import HOST, Host, stand_still

Deed = Callable[[Host], None]


class Orders:
    """At most one order for each process; `reached` counts who came to which point."""

    def __init__(self) -> None:
        self.reached: Counter[str] = Counter()
        self._standing: dict[str, tuple[Point, Deed]] = {}

    def give(self, name: str, point: Point, deed: Deed) -> None:
        """The next time that a process of this name comes to the point."""
        self._standing[name] = point, deed

    def take_back(self, name: str) -> bool:
        """Whether the order still stood."""
        return self._standing.pop(name, None) is not None

    def reach(self, point: Point) -> None:
        """Somebody is at the point."""
        host = HOST.get()
        if host is None or not host.running:
            return
        self.reached[point.value] += 1
        wanted, deed = self._standing.get(host.name, (None, None))
        if wanted is point and deed is not None:
            del self._standing[host.name]
            deed(host)

    async def come_to(self, point: Point) -> None:
        """The same, and stay there as long as the process stands still."""
        self.reach(point)
        host = HOST.get()
        if host is not None and not host.running:
            await stand_still()


class _Current:
    """Asks the orders of the story that is played."""

    def __init__(self) -> None:
        self.orders = Orders()

    def reach(self, point: Point) -> None:
        self.orders.reach(point)

    async def come_to(self, point: Point) -> None:
        await self.orders.come_to(point)


_current = _Current()
_laid: list[bool] = []


def stand(orders: Orders) -> None:
    """From now on these are asked."""
    if not _laid:
        points.install(_current)
        _laid.append(True)
    _current.orders = orders
