"""From terms and facts to invoices, and from bank statements to payments: pure functions, integers only."""
