"""The look of the pages: typefaces, template tags and pictures made on the server.  Knows no other app."""
