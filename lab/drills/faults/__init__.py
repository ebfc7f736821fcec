"""The drills, by the part that fails."""
