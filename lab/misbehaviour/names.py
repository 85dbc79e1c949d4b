"""Names of the peers' endpoints, as used by misbehaviour.

Each is also the name of a route.
"""

from enum import StrEnum


class Endpoint(StrEnum):
    """One operation of a peer."""

    ANALYZE = "analyze"
    ANALYZE_STATUS = "analyze_status"
    ANALYZE_STOP = "analyze_stop"
    ANALYZE_TRIGGER = "analyze_trigger"
    REPLAY = "replay"
    UPSERT = "upsert"
    FIXTURE_STATUS = "fixture_status"
    FIXTURE_DELETE = "fixture_delete"
    CHECK = "check"
    INTERCEPTIONS_ACTIVE = "interceptions_active"
    RECORDING_START = "recording_start"
    RECORDING_STOP = "recording_stop"
    RECORDING_GET = "recording_get"
    RECORDING_ENTRIES = "recording_entries"
    RECORDINGS_ACTIVE = "recordings_active"
    EXECUTE = "execute"
    FAULT_STATUS = "fault_status"
    FAULT_DELETE = "fault_delete"
    FAULT_GET = "fault_get"
    FAULT_LIST = "fault_list"
    FAULT_EXISTS = "fault_exists"


FIXTURES = {Endpoint.UPSERT, Endpoint.FIXTURE_STATUS, Endpoint.FIXTURE_DELETE}
"""Endpoints that answer without an envelope, and with an empty body on failure."""
