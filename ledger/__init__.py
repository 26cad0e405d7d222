"""The ledger room: remembers what was signed in a transparency log, and finds it again."""
