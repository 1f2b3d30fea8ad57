"""Each service's own database: its tables, and the ledger that makes every effect happen once."""
