"""What Prometheus is told of a process: read when it asks, and the door that answers it."""
