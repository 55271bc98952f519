"""Believable input for the gateway: customers, their consents and events, and what goes wrong.

Knows the schemas and Kafka. Must not know what the gateway makes of its input: nothing is written down for
the verifier but the topics themselves.
"""
