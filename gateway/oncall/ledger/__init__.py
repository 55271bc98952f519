"""What was provided and what was not: reading the ledger, from its topic or from an index of it."""
