"""The ledger over HTTP: a server of tiles, look-ups and appends, and a client that is a log like any other."""
