"""All that VKDNW is computed with; what the rest of the package needs of it are these."""

from uninas.proxies.fisher.information import fisher_information
from uninas.proxies.fisher.vkdnw import VKDNW, vkdnw

__all__ = ["VKDNW", "fisher_information", "vkdnw"]
