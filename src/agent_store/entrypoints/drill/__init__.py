"""The fault drill: a store under load while faults are injected into it, and what must hold afterwards."""
