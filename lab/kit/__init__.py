"""The kit: `slo.toml` of any instrumented service, and the files to monitor it that are generated from it."""
