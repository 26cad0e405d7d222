"""The detector of generated films."""
