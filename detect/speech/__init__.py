"""The detector of synthetic speech and converted voices."""
