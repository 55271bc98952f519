"""A deterministic simulation: real gateways in virtual time, on a network, a Kafka and a GeNiE that are simulated.

loop      virtual time and simulated processes
clocks    time and chance of the interpreter, taken over
network   connections, and what goes wrong with them
process   one gateway as its composition root wires it
"""
