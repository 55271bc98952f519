"""The pure core: what is decided, with no clock, randomness, environment, network or asyncio."""
