"""The suite on a machine that stutters; see `__main__`."""
