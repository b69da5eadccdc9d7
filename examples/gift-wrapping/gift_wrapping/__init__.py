"""Gift wrapping: an agent that the store does not come with."""
