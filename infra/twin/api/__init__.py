"""The Compute API over HTTP: a request to a method of Google's document, and what it answers."""
