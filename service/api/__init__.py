"""What every route shares: parameters, bodies, responses, problem details, OpenAPI, authorisation, health."""
