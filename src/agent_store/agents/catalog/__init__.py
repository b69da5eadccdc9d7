"""The catalogue: products, search, recommendation."""
