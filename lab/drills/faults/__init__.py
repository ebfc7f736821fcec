"""The faults and their drills, by the part that fails."""
