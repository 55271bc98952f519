"""Trouble on purpose: named faults, each a small class that acts at one point of a request's way.

Knows how each kind of trouble looks from outside. One module for each thing that can be attacked: time, the
request as a whole, single entries, what an answer says, its signature, the connection, TLS. `table.py` lists them.
"""

from gateway.sandbox.genie.faults.fault import Fault, FaultError, Operation, Point
from gateway.sandbox.genie.faults.faults import Faults
from gateway.sandbox.genie.faults.parameters import described
from gateway.sandbox.genie.faults.table import KINDS

__all__ = ["KINDS", "Fault", "FaultError", "Faults", "Operation", "Point", "described"]
