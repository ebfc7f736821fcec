"""What every package of the lab uses: errors, servers, snapshots of metrics."""
