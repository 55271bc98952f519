"""A simulated Apache Kafka that speaks the real protocol to real clients, in the time of the running loop.

    kafka = SimulatedKafka(rng, [(1, "kafka-1", 9092), ...], now_ms)
    network.listen("kafka-1", 9092, lambda: kafka.protocol(1))  # or loop.create_server(lambda: kafka.protocol(1), ...)
    kafka.create_topic("ledger", 3)
    kafka.fault(Fault(Api.END_TXN, Effect.LOSE_ANSWER, skip=5))

It must be made outside of every simulated process. Its answers are Apache Kafka's: test_contract.py tells both the same
stories. Not modelled: followers that serve readers, a leader that is cut off from the others but not from its clients,
fetch sessions, quotas, access rights, SASL and TLS, log segments, expiry of offsets and of transactional ids.

kafka             SimulatedKafka: what a simulated world holds in its hands
node              a broker: connections, one request after the other
api, wire         which requests are spoken, how they are read and written
answers*          what each request does
cluster_state     topics, nodes, and everything below
partition, log, batches   records, replication, the last stable offset
transactions              epochs, markers
offsets, offsets_topic    committed offsets: their log, and what a coordinator remembers of it
groups, members   the classic group protocol
coordinators      who coordinates what
faults            what goes wrong with single requests
quick             aiokafka's side of the wire, compiled too
"""

from tests.simulation.broker.api import Api
from tests.simulation.broker.batches import Record
from tests.simulation.broker.coordinators import Kind
from tests.simulation.broker.errors import Error
from tests.simulation.broker.faults import Effect, Fault
from tests.simulation.broker.kafka import Ending, SimulatedKafka

__all__ = ["Api", "Effect", "Ending", "Error", "Fault", "Kind", "Record", "SimulatedKafka"]
