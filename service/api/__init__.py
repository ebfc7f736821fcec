"""What routes share: parameters, bodies, responses, problem details, OpenAPI, authorisation, rate limits, health."""
