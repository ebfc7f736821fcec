"""Rules, alerts and their docs, generated from `slo.toml` and the catalogue of alerts: `make rules`."""
