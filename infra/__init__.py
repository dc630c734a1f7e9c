"""What runs around gateways: the command line, the small world of `tidegate up`, its sample app and its issuer."""
