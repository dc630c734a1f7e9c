"""What tests of several parts need: ports, processes, gRPC backends, tokens and certificates."""
