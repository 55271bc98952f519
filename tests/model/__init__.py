"""A model checker for the lane: every state that a small world around the real core/lane.py can reach, breadth first.

    shape        what one world holds: records, consents, troubles; time in ticks
    fingerprint  what tells two lanes apart, and what does not (names, how long ago beyond what matters)
    words        facts and commands as plain tuples, without a lane's own names and times
    machine      the real lane, run from any state that it was ever in
    state        the world as nested named tuples
    kafka        transactions, fencing and what is committed
    partner      GeNiE's books
    turn         one thing happens: an owner carries out what its lane asks for
    actions      what can happen next
    happenings   what each of these does
    invariants   the promises, and the rules that keep them
    search       breadth first, and whether all ends well once troubles are over
    story        the shortest way to a broken promise, in plain sentences
    worlds       the named worlds
    removals     the lane without one of its steps: a named world must then turn red
    without      one of these worlds, for a process of its own (tests/prove)

`python -m tests.model` explores every world (`make model`); test_model.py a small version of each.
"""
