"""What limits a process before clients notice: the event loop, thread limiters, garbage collection, memory and file
descriptors.
"""
