"""What is measured in a round: metrics and traces."""
