"""What a lane does while our configuration or GeNiE's is wrong. (step f of the protocol)"""

from dataclasses import replace

import pytest

from gateway.core import facts
from tests.lane_story import Story, record, signed


@pytest.mark.parametrize("status", [401, 403, 404, 302])
def test_a_wrong_configuration_stops_the_lane_and_parks_nothing(status: int) -> None:
    """It alerts, sends nothing for a while, and goes on by itself when the fault is mended."""
    story = Story(batch=1)
    story.deliver(record(0), record(1, 2))
    story.announce()
    story.decide()
    one, two = story.all(facts.Send)
    story.asked.clear()
    story.answer(one, signed(status))
    story.take(facts.Alert)
    story.answer(two, signed(503))
    story.wait(story.limits.stop_retry_ms - 1)
    assert not story.all(facts.WantSlots)
    story.wait(1)
    story.announce()
    story.decide()
    for send in story.all(facts.Send):
        story.answer(send)
    assert set(story.settle().values()) == {("accepted", "yes")}


def test_an_unsigned_wrong_configuration_parks_nothing_however_long_it_lasts() -> None:
    """A load balancer's 403 says nothing about the entry: it goes again when the fault is mended."""
    story = Story(batch=1)
    story.deliver(record(0))
    unsigned = replace(signed(403), verified=False)
    for _ in range(150):  # more than an hour of them
        story.grant()
        story.commit_all()
        if story.all(facts.StartFence):
            story.decide()
        for send in story.all(facts.Send):
            story.asked.remove(send)
            story.answer(send, unsigned)
        story.wait(story.limits.stop_retry_ms)
    assert story.settle() == {}
    story.answer(story.send())
    assert story.settle() == {0: ("accepted", "yes")}


def test_a_batch_announced_before_the_lane_stopped_is_not_sent() -> None:
    """It is announced again when the lane goes on."""
    story = Story(batch=1)
    one = story.sent(record(0))
    story.deliver(record(1, 2))
    story.announce()
    story.answer(one, signed(403))
    story.decide()
    assert not story.all(facts.Send)
