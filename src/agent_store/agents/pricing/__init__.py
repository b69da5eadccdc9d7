"""The price engine: the only place a price comes from."""
