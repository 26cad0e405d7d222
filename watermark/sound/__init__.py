"""The sound mark of our own: a keyed lattice of louder and softer tiles. Format: docs/formats/mark-audio.md."""
