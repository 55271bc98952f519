"""Virtual time, simulated processes, and the clocks and chance of the interpreter."""

import asyncio
import os
import random
import secrets
import signal
import time
import uuid
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from gateway.genie.budget import RetryBudget
from tests.simulation.clocks import EPOCH_MS, taken_over
from tests.simulation.loop import HOST, Host, SimulationStuck, VirtualLoop, stand_still

YEAR_S = 365 * 86_400.0


def run(main: Callable[[VirtualLoop], Coroutine[Any, Any, Any]], **bounds: Any) -> Any:
    loop = VirtualLoop(**bounds)
    return loop.run(main(loop))


def test_a_year_of_waiting_takes_no_time() -> None:
    """Time jumps to the next timer: a test that really waited would never end."""

    async def main(loop: VirtualLoop) -> float:
        await asyncio.sleep(YEAR_S)
        return loop.time()

    assert run(main, max_virtual_s=2 * YEAR_S) == YEAR_S


def test_timers_of_one_moment_run_in_the_order_of_their_making() -> None:
    """Equal times are told apart by their order."""

    async def main(loop: VirtualLoop) -> list[int]:
        told: list[int] = []
        for number in range(20):
            loop.call_at(5.0, told.append, number)
        loop.call_at(5.0, told.append, 99).cancel()
        await asyncio.sleep(6)
        return told

    assert run(main) == list(range(20))


def test_sets_of_tasks_and_futures_iterate_alike_in_two_runs() -> None:
    """Their hash is the count of their making and no address."""

    async def main(loop: VirtualLoop) -> list[str]:
        tasks = {asyncio.create_task(asyncio.sleep(0, number), name=str(number)) for number in range(50)}
        futures = {loop.create_future(): number for number in range(50)}
        done, _ = await asyncio.wait(tasks)
        return [task.get_name() for task in done] + [str(futures[future]) for future in set(futures)]

    kept = [bytearray(number * 7) for number in range(100)]  # other addresses
    first = run(main)
    del kept
    assert run(main) == first


def test_a_frozen_host_stands_still_and_goes_on_in_order() -> None:
    """What was ready runs first, then what arrived, then its timers."""

    async def main(loop: VirtualLoop) -> tuple[list[str], list[str]]:
        told: list[str] = []
        host = Host("one", loop)

        async def process() -> None:
            loop.call_later(2, told.append, "timer at 2")
            loop.call_later(9, told.append, "timer at 9")
            loop.call_soon(told.append, "ready")
            host.freeze()

        await asyncio.sleep(0)
        host.start(process)
        await asyncio.sleep(1)
        loop.arrive_at(3.0, told.append, "arrival at 3", context=host.context)
        await asyncio.sleep(4)
        before = list(told)
        host.thaw()
        await asyncio.sleep(10)
        return before, told

    before, after = run(main)
    assert before == []
    assert after == ["ready", "arrival at 3", "timer at 2", "timer at 9"]


def test_of_a_dead_host_nothing_runs_any_more() -> None:
    """Not even a `finally`; what the operating system does for it is done at once."""

    async def main(loop: VirtualLoop) -> list[str]:
        told: list[str] = []
        host = Host("one", loop)
        host.at_death(lambda: told.append("dead"))

        async def deeper() -> None:
            try:
                await asyncio.sleep(YEAR_S)
            finally:
                told.append("deeper finally")

        async def process() -> None:
            child = asyncio.create_task(deeper())
            try:
                await asyncio.sleep(1)
                host.kill()
                await stand_still()
                told.append("after death")
            finally:
                told.append("finally")
                child.cancel()

        task = host.start(process)
        await asyncio.sleep(5)
        return [*told, str(task.done()), str(host.alive)]

    assert run(main) == ["dead", "False", "False"]


def test_a_host_takes_signals() -> None:
    """SIGTERM reaches the handler of the host that set it, and no dead one."""

    async def main(loop: VirtualLoop) -> tuple[str, bool]:
        host = Host("one", loop)

        async def process() -> str:
            stopping = asyncio.Event()
            loop.add_signal_handler(signal.SIGTERM, stopping.set)
            await stopping.wait()
            current = HOST.get()
            assert current is not None
            return current.name

        task = host.start(process)
        await asyncio.sleep(1)
        assert host.signal(signal.SIGTERM)
        name = await task
        host.kill()
        return name, host.signal(signal.SIGTERM)

    assert run(main) == ("one", False)


def test_what_can_not_go_on_is_told() -> None:
    """Nothing due, no end, and asking for ever while little time passes, or none, end the run with what waits."""

    async def waits_for_nothing(loop: VirtualLoop) -> None:
        await loop.create_future()

    async def waits_for_ever(_: VirtualLoop) -> None:
        while True:  # noqa: ASYNC110 - it must not end
            await asyncio.sleep(60)

    async def spins(_: VirtualLoop) -> None:
        while True:  # noqa: ASYNC110 - it must not end
            await asyncio.sleep(0)

    async def asks_again(_: VirtualLoop) -> None:
        while True:  # noqa: ASYNC110 - it must not end
            await asyncio.sleep(1e-9)

    for main in (waits_for_nothing, waits_for_ever, spins, asks_again):
        with pytest.raises(SimulationStuck, match=main.__name__):
            run(main)


def test_an_executor_works_at_once() -> None:
    """There are no threads; what it raises belongs to whoever waits."""

    async def main(_: VirtualLoop) -> int:
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(lambda: 1 // 0)
        return await asyncio.to_thread(lambda: 7)

    assert run(main) == 7


def test_what_a_callback_raises_is_kept() -> None:
    """It ends nothing, and the run can say that it happened."""

    async def main(loop: VirtualLoop) -> list[dict[str, Any]]:
        loop.call_soon(lambda: 1 // 0)
        await asyncio.sleep(1)
        return loop.complaints

    (complaint,) = run(main)
    assert isinstance(complaint["exception"], ZeroDivisionError)


def test_clocks_show_virtual_time_and_each_host_its_own() -> None:
    """The wall clock of a host may be wrong; the monotonic clock can't be."""

    async def main(loop: VirtualLoop) -> list[float]:
        host = Host("one", loop)
        host.skew_ms = -2500

        async def process() -> tuple[int, float]:
            return time.time_ns(), time.monotonic()

        await asyncio.sleep(10)
        ns, monotonic = await host.start(process)
        return [time.time() * 1000 - EPOCH_MS, ns // 1_000_000 - EPOCH_MS, monotonic, time.perf_counter()]

    real = time.time
    loop = VirtualLoop()
    with taken_over(loop, 1):
        assert loop.run(main(loop)) == [10_000, 7_500, 10, 10]
    assert time.time is real


def test_chance_comes_from_the_seed() -> None:
    """Whatever draws, the same seed gives the same."""

    def drawn(seed: int) -> list[object]:
        with taken_over(VirtualLoop(), seed):
            system = random.SystemRandom()
            return [uuid.uuid4(), os.urandom(8), secrets.token_urlsafe(), random.random(), system.uniform(1, 2)]

    assert drawn(5) == drawn(5)
    assert not set(map(str, drawn(5))) & set(map(str, drawn(6)))


def test_nothing_may_block() -> None:
    """A sleeping thread would stop all hosts."""
    with taken_over(VirtualLoop(), 1), pytest.raises(AssertionError, match="block"):
        time.sleep(1)


def test_a_clock_that_was_kept_is_taken_over_too() -> None:
    """As the default of an argument, which is bound when its module is loaded."""
    loop = VirtualLoop()
    with taken_over(loop, 1):
        budget = RetryBudget()
        assert budget._counted_at == loop.time() == 0
    assert RetryBudget()._counted_at > 0
