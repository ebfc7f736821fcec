"""`python -m flightdeck` is the `flightdeck` command."""

from flightdeck.cli import main

if __name__ == "__main__":
    main()
