"""Rate limits: how often an owner may write or ask for exports."""
