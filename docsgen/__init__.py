"""The generators of the reference pages in docs/."""
