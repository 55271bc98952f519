"""Credit-data sharing gateway: provides consented items to GeNiE and records every provision."""

__version__ = "0.1.0"
