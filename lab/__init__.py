"""The demo system: real services with planted weaknesses, and peers that speak the wire contract, quirks included."""

from lab.addresses import LabAddresses, LabState, ServiceState
from lab.lab import Lab
from lab.misbehave import Action, Instruction, Misbehaviour
from lab.names import Endpoint
from lab.settings import LabSettings, PortChoice
from lab.topology import Topology, load_topology

__all__ = [
    "Action",
    "Endpoint",
    "Instruction",
    "Lab",
    "LabAddresses",
    "LabSettings",
    "LabState",
    "Misbehaviour",
    "PortChoice",
    "ServiceState",
    "Topology",
    "load_topology",
]
