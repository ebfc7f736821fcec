#!/usr/bin/env -S python3 -IS
"""Health check of our containers: exits with 0 if the URL responds with a status below 400.

It runs without site packages: 30 ms instead of 90.
"""

import http.client
import sys

_, _, address, path = sys.argv[1].split("/", 3)
connection = http.client.HTTPConnection(address, timeout=4)
connection.request("GET", f"/{path}")
status = connection.getresponse().status
sys.exit(f"{sys.argv[1]} returned {status}" if status >= 400 else 0)
