"""A world of real processes on this machine: pods in several regions, an issuer, and a load balancer before them."""
