"""Rollouts on the real thing: the chart's pods as processes, with its timings, on Apache Kafka under load. They are
updated, drained, killed and scaled as Kubernetes would; the independent verifier judges. `make rollout` runs it.
"""
