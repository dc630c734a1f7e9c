"""What both ways of writing an API have in common: services, and rules that select their methods."""
