"""Small data sets in the real formats, for trying things out and for tests."""

from .make import KINDS, MARKER, make

__all__ = ["KINDS", "MARKER", "make"]
