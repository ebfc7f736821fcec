"""What every other room builds on: settings, limits, labels, the resource, and the handling of internal errors."""
