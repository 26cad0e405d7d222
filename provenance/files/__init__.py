"""Files under limits: what they are, one canonical decode, metadata, byte layout, and writing them whole."""
