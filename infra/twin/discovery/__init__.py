"""Google's own description of its Compute API, as far as the twin has a use for it."""
