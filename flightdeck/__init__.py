"""The command line of Flightdeck."""
