"""The log by the standards: RFC 6962 hashes and proofs, C2SP notes, tiles, proofs and policies; pure functions."""
