"""The twin: a stand-in for the part of Google Cloud that a global HTTP/2 load balancer lives in."""
