"""A local receiver of Alertmanager's notifications: a page that lists them, and the runbooks that they link to."""
