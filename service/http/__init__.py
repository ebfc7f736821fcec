"""HTTP semantics: default headers, HEAD, body limits, negotiation, admission, the model of a cached response."""
