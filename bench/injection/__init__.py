"""Faults done to a ledger on purpose, and the judge who counts what they cost."""
