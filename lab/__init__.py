"""The demo system: real services with planted weaknesses, and peers that speak the wire contract, quirks included."""

from lab.addresses import LabAddresses, LabState, ServiceState
from lab.journal import Counters, Kind, LogEntry
from lab.lab import Lab
from lab.misbehave import Action, Instruction, Misbehaviour
from lab.names import Endpoint
from lab.settings import LabSettings, PortChoice
from lab.topology import Topology, load_topology
from lab.truth import Broken, RealOutcome

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
