"""What people of the portal are told, in its notice centre and by e-mail."""
