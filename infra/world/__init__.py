"""A small world of real processes on this machine: pods of the sample app, an issuer, and a gateway in front."""
