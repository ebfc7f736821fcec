"""What limits a process: event loop, threads, garbage collector, memory, file descriptors."""
