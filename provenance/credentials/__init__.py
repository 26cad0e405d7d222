"""Content credentials: reading, judging and writing C2PA manifests. The only place that knows c2pa-python."""
