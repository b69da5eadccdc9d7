"""What the rules say, one module a language, the same keys in each. A tuple holds variants, taken in turn."""
