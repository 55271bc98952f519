"""Takes each step of the lane protocol out, one at a time, and shows what breaks without it, and what notices.

    steps     the steps, by the letters of the protocol, and the promises
    rows      which removal of which step is noticed by which tool
    tools     how a tool looks for what is broken, in a process where one step is gone
    runner    a process for each row, with a bound
    table     the rows as people read them, and docs/removals.md

`python -m tests.prove` runs every row (`make prove`); test_prove.py and tests/integration/test_prove_kafka.py those
that take seconds. What is taken out is in tests/promises/*removals.py and tests/model/removals.py.
"""
