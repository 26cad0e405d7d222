"""The audit trail: signed statements, receipts in other encodings, and bundles that outlive the ledger."""
