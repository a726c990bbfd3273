"""What is known of networks, their published weights and weight files without Keras."""

from photofinish.catalog.architectures import CATALOG, Architecture, find
from photofinish.catalog.weight_files import check_weights, deciding_file

__all__ = ["CATALOG", "Architecture", "check_weights", "deciding_file", "find"]
