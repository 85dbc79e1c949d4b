"""The demo system: running services with planted weaknesses, and their peers.

The peers speak the wire contract, quirks included.
"""

from lab.addresses import LabAddresses, LabState, ServiceState
from lab.generated.truth import Broken, RealOutcome
from lab.journal import Counters, Kind, LogEntry
from lab.lab import Lab
from lab.misbehaviour.misbehave import Action, Instruction, Misbehaviour
from lab.misbehaviour.names import Endpoint
from lab.settings import LabSettings, PortChoice
from lab.topology import Topology, load_topology

__all__ = [
    "Action",
    "Broken",
    "Counters",
    "Endpoint",
    "Instruction",
    "Kind",
    "Lab",
    "LabAddresses",
    "LabSettings",
    "LabState",
    "LogEntry",
    "Misbehaviour",
    "PortChoice",
    "RealOutcome",
    "ServiceState",
    "Topology",
    "load_topology",
]
