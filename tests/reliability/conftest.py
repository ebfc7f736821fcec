from tests.reliability.effort import effort

__all__ = ["effort"]
