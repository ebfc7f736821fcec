"""What is known about one request: its record (in the scope and a context variable), its route template, its
Server-Timing. Signals read it and add to it; nothing here records a signal.
"""
