"""Fetches the keys of token issuers, keeps them fresh and hands them to the core."""
