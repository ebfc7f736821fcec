"""Airlines: the carriers of the flights."""
