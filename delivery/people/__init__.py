"""People of a control plane: who they are, what they may do, and how they prove it."""
