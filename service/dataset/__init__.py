"""The data set: the flights of 2013 as a compact copy, and loads of it into a database."""
