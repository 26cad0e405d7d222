"""Anchors: publishing checkpoints where the ledger's operator cannot take them back."""
