"""What really serves: `grpc.health.v1` clients and servers, probes, and the state machine behind them."""
