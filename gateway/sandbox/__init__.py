"""Everything a developer needs around the gateway: Kafka, a strict GeNiE, producers, the verifier.

It must not know the gateway: no decision, protocol or client code is shared with it.
"""
