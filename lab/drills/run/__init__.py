"""How a drill runs: inject the fault, observe the alert, end the fault, observe its resolution."""
