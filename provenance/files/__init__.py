"""Files under limits: what they are, one canonical decode, their metadata and layout, and writing them whole."""
