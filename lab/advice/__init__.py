"""The advisor: what each technique would buy in a service, predicted from its what-if metrics."""
