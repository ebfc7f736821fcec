from tests.reliability.figures import effort

__all__ = ["effort"]
