"""HTTP semantics as middleware: default headers, HEAD, body limits, content negotiation."""
