"""The StatefulSet's controller and a node's drain: which pod is started or ended when.

Knows the order in which Kubernetes does it, and what the chart chose there. Must not know what pods do.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from tests.rollout.pod import Pod
from tests.rollout.terms import Terms


class StatefulSet:
    """`made` gives the pod of an ordinal, one that was there before if its place is the same."""

    def __init__(self, terms: Terms, made: Callable[[int], Pod]) -> None:
        self._terms = terms
        self._made = made
        self.pods: list[Pod] = []
        self.restarts = 0

    async def scale(self, replicas: int) -> None:
        """Return when all that are wanted are ready, and all others have ended."""
        wanted = [self._made(ordinal) for ordinal in range(len(self.pods), replicas)]
        gone = self.pods[replicas:][::-1]
        await self._each(wanted, self._begin)
        await self._each(gone, self._remove)
        self.pods = [*self.pods[:replicas], *wanted]

    async def update(self) -> None:
        """Rolling: from the highest ordinal down, one after the other, each ready for a while before the next."""
        for pod in reversed(self.pods):
            await self._replace(pod)
            await pod.available()

    async def drain(self, pods: Sequence[Pod]) -> None:
        """A node with these is drained: as many as the budget allows are evicted at once, and start elsewhere."""
        for at in range(0, len(pods), self._terms.away):
            await asyncio.gather(*(self._replace(pod) for pod in pods[at : at + self._terms.away]))

    async def kill(self, pod: Pod) -> None:
        """Its container is killed, and kubelet starts another one in the same pod."""
        pod.kill()
        pod.start()
        self.restarts += 1
        await pod.ready()

    async def _replace(self, pod: Pod) -> None:
        await pod.end()
        pod.start()
        self.restarts += 1
        await pod.ready()

    async def _begin(self, pod: Pod) -> None:
        pod.start()
        await pod.ready()

    async def _remove(self, pod: Pod) -> None:
        await pod.end()
        if self._terms.volume_goes:
            pod.remove_volume()

    async def _each(self, pods: Sequence[Pod], do: Callable[[Pod], Awaitable[None]]) -> None:
        if self._terms.at_once:
            await asyncio.gather(*(do(pod) for pod in pods))
        else:
            for pod in pods:
                await do(pod)
