"""What a network costs where it runs: time, memory, parameters and multiply-adds, by stage and by kind of operation."""

from .compare import Compared, compare_networks
from .errors import ProfilingError
from .measure import Profile, profile_network

__all__ = ["Compared", "Profile", "ProfilingError", "compare_networks", "profile_network"]
