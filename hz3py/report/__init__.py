"""Results made readable: the documented JSON, tables and pictures. Nothing here measures."""
