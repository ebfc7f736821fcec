"""The flights of 2013: the compact copy, its reading and its loading into a database."""
