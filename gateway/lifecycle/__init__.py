"""How the process begins, changes and ends: its size, its reloads, its drain, its log."""
