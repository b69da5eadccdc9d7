"""Every event and every tool: all that agents know of each other. One module a capability."""
