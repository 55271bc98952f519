"""Chaos on the real thing: Apache Kafka, a strict GeNiE over TLS, gateway processes under load, and a seed that says
what goes wrong with them. `make chaos MINUTES=n` runs it; the independent verifier judges.
"""
