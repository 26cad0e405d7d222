"""The witnesses: each examines one file and returns one Evidence."""
