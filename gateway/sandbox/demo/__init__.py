"""The demo: a real Apache Kafka, a strict GeNiE, producers, the gateway and a verifier, each a process of its own,
and in the end a verdict.

Knows the parts by their commands and by what they write. Must not know how the gateway keeps its promises.
"""
