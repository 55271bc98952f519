"""A deterministic simulation: real gateways in virtual time, on a network, a Kafka and a GeNiE that are simulated.

    loop, handles   virtual time and simulated processes
    clocks          time and chance of the interpreter, taken over
    network         connections, and what goes wrong with them
    process         one gateway as its composition root wires it
    broker/         Kafka, as its wire shows it
    partner, registry    GeNiE and the schema registry
    parts           all of these, put together
    shape, params, workload, faults    what a seed means: how large, what flows in, what goes wrong
    replays, replays_seen    what on-call asks for again, and what became of it
    seats, orders, deeds    how it is brought about
    run, story, lookout, evidence, judge    one story, what it told, whether it is right
    campaign, sometimes, shrink    many stories: what must happen in some, how a bad one becomes short

`python -m tests.simulation` plays them (`make simulate`); every name of a gateway's own code here is the real one.
"""
