"""A simulated Apache Kafka that speaks the real protocol to real clients, in the time of the running loop.

kafka             SimulatedKafka: what a simulated world holds in its hands
node              a broker: connections, one request after the other
api, wire         which requests are spoken, how they are read and written
answers*          what each request does
cluster_state     topics, nodes, and everything below
partition, log, batches   records, replication, the last stable offset
transactions, offsets     epochs, markers, committed offsets
groups, members   the classic group protocol
coordinators      who coordinates what
faults            what goes wrong with single requests
"""

from tests.simulation.broker.api import Api
from tests.simulation.broker.batches import Record
from tests.simulation.broker.coordinators import Kind
from tests.simulation.broker.errors import Error
from tests.simulation.broker.faults import Effect, Fault
from tests.simulation.broker.kafka import Ending, SimulatedKafka

__all__ = ["Api", "Effect", "Ending", "Error", "Fault", "Kind", "Record", "SimulatedKafka"]
