"""Pictures: found, hashed, divided, decoded, and served in an order that only seed and epoch decide."""

from photofinish.data.preparation import prepare
from photofinish.data.prepared import PreparedData
from photofinish.data.sampling import Batch, batches, epoch_order
from photofinish.storage.progress import Progress

__all__ = ["Batch", "PreparedData", "Progress", "batches", "epoch_order", "prepare"]
