"""The landing page: the configuration of this process, example requests and links."""
