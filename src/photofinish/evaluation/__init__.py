"""From logits to figures: metrics (NumPy alone) and timing."""
