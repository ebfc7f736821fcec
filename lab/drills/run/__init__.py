"""How one drill runs: inject the fault, observe the alerts, end the fault, observe their resolution."""
