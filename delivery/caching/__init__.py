"""What is kept for reuse: why a step is or is not reused, how much it helps, and what of it may go."""
