"""Finds the endpoints of backends: names in, complete sets of addresses out, again whenever they change."""
