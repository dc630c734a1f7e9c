"""Which endpoints are fit to be picked: what is known of their health, told to the core."""
