"""Delivery: what it costs, how long it takes, where one can fetch it."""
