"""What a load balancer's clients notice when a region or a pod is lost."""
