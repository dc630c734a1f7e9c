"""Every way to spread gRPC calls over the pods of a Kubernetes Service, side by side, on one machine."""
