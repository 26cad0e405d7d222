"""The ledger's database: tables, transactions, and how a database is made and opened."""
