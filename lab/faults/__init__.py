"""The fault service: creates, reports and removes faults, and the operator behind it that makes them act."""
