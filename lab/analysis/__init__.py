"""From measurements to effects with confidence intervals."""
