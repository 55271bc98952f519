"""The window agrees with a set of offsets, whatever is delivered, settled, skipped and handed over."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.metadata import CommitMetadata
from gateway.core.window import Window

steps = st.lists(st.tuples(st.sampled_from(["deliver", "skip", "settle", "hand over"]), st.integers(0, 5)), max_size=60)


@given(steps)
def test_a_window_says_what_a_set_would_say(story: list[tuple[str, int]]) -> None:
    """Watermark and settled set say exactly which delivered offsets are settled, and survive any take-over."""
    window = Window(0)
    position, delivered, settled = 0, set[int](), set[int]()
    for step, number in story:
        open_ones = sorted(delivered - settled)
        match step:
            case "deliver":
                position += number
                assert window.deliver(position) == (position not in settled)
                delivered.add(position)
                position += 1
            case "skip":
                position += number
                window.advance(position)
            case "settle" if open_ones:
                offset = open_ones[number % len(open_ones)]
                window.settle(offset)
                settled.add(offset)
            case "hand over":
                committed = CommitMetadata(tuple(window.settled_beyond())).encode(window.watermark)
                position = window.watermark
                window = Window(position, CommitMetadata.decode(committed, position).settled)
                delivered = {offset for offset in delivered if offset < position or offset in settled}
        first_open = min(delivered - settled, default=position)
        if step != "hand over":
            assert window.watermark == first_open
        assert window.settled_beyond() == sorted(offset for offset in settled if offset >= window.watermark)
        assert window.position == max(position, window.watermark)
