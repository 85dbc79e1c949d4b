"""The fault service, and the operator behind it.

The service creates, reports and removes faults. The operator makes them act.
"""
