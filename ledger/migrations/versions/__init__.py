"""One module a schema version; each leads there from the one before."""
