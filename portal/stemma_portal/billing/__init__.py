"""Quotes, orders, invoices and payments of licensees, and what they declare of their revenue."""
