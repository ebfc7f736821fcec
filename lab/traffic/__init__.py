"""The requests of the traffic model: mixes, popularity of targets, settings of Locust."""
