"""What clients and edges may reuse: validators, freshness, and complete responses served again."""
