"""A local receiver of Alertmanager's notifications: a page of what arrived, and the runbooks to open from it."""
