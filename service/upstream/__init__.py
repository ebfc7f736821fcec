"""The upstream weather API: a second small app with the real hourly weather and honest, adjustable latency."""
