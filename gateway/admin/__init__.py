"""What operators and machines may ask a running gateway: probes, metrics, and pages that show its state."""
