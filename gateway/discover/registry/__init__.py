"""What the schemes of service registries have in common: entries, hosts, back-off, HTTP."""
