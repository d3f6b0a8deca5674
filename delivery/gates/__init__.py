"""Gates: decisions that must pass before a rollout. Each is a pure function from frozen facts to a verdict."""
