"""The image mark of our own: a keyed pattern, a hidden grid, a learned listener. Format: docs/formats/mark.md."""
