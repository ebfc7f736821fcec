"""Which requests are sent: kinds, popularity of targets, settings for Locust."""
