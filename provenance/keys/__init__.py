"""Keys, certificates and whom to trust."""
