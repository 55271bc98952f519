"""Takes statements out of the drivers, one at a time: a test must then fail. sites.py says which; drivers.py, of what.

A driver is a module that carries a protocol: what it leaves out shows only when something goes wrong. `python -m
tests.removals [PART OF A MODULE]` runs, for each removal, the tests that get as far as what it takes out. What nothing
notices is a missing test, or a statement that is not needed, or stands in accepted.toml with the reason.
"""
