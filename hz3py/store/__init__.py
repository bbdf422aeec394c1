"""Results on disk: append-only, versioned JSON lines and what is exported from them."""
