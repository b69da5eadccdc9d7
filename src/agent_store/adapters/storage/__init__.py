"""Where content is kept that no table should hold: a folder, or a bucket."""
