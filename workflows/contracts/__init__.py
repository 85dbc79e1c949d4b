"""Every type that crosses a workflow boundary. pydantic only: no Temporal, no I/O, no decisions."""
