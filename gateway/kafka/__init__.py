"""Kafka's side: clients, codec, consent view and lane driver; it knows the core, not GeNiE's side."""
