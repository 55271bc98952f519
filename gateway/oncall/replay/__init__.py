"""Replays: which records, what would become of them today, asking for them, and following them to the ledger.

A replay is asked for by a record of `genie.replay.requests`; a lane takes it like any other input, through the same
consent check, fence and keys. Nothing here sends anything to GeNiE, and nothing here can replay a replay.
"""
