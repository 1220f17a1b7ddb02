"""A Ray cluster of one node with two processors, for the tests that compare executors."""

from __future__ import annotations

import importlib.util
import os

import pytest


@pytest.fixture(scope="session")
def ray_address():
    if importlib.util.find_spec("ray") is None:
        pytest.skip("needs Ray: pip install '.[ray]'")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 2, "include_dashboard": False, "object_store_memory": 80 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args=node)
    yield cluster.address
    cluster.shutdown()
