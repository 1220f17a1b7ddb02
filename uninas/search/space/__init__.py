"""Search spaces: what networks there are, and how to get from one to another."""

from .base import Proposal, Space

__all__ = ["Proposal", "Space"]
