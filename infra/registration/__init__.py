"""Announces a server in a service registry for as long as this process lives."""
