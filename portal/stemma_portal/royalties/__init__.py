"""The ledger, periods and statements."""
