"""Faults of pods, as nodes and networks have them, made on this machine without root and undone again."""
