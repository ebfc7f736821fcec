"""What every room of the lab builds on: errors, servers, snapshots of metrics."""
