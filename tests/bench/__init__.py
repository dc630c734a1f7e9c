"""The side-by-side benchmark: Tidegate, other proxies and a plain TCP relay under one load, in one run."""
