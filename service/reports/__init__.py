"""Reports: delays by carrier, month, hour or destination, and the ranking of routes."""
