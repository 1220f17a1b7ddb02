"""The key `proxy` of a space's file: what guides a search of the space unless its user names another.

No score ranks every kind of network well: the one that ranks networks of the `uninas` space best, by how fast they
learn, is behind parameters and MACs on NAS-Bench-201, whose networks differ in the edges of a cell and are trained for
200 epochs. So a space says which score to trust in it.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from ...resources import validated

DEFAULT_PROXY = "learning_agg"
"""What ranks networks of the `uninas` space best (docs/proxies.md)."""


def _understood(text: str) -> str:
    from ..objective import Objective  # reads the proxies, which a space's own parts do without

    Objective.parse(text)
    return text


ObjectiveName = Annotated[str, AfterValidator(validated(_understood)), Field(exclude=True)]
"""A proxy, an aggregate, or one written out. No part of a space's fingerprint: it is among the settings of a search."""
