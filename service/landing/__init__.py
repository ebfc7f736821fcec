"""The landing page: what this process is, and where to go from here."""
