"""What goes with every output: content credentials, a signed certificate, and how to check both.

`stemma verify` walks from a file back to the consents of the people whose music trained its model.
"""
