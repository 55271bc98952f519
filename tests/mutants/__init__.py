"""Mutation testing of gateway/core: mutmut changes one thing at a time, and the core's fast tests must notice.

mutmut changes function bodies; properties, class bodies and what stands at the top of a module it leaves as it is.
Which tests run is in pyproject.toml, [tool.mutmut]; what changes nothing that anyone can see is in equivalent.toml.
"""
