"""A run's life, acted out over ports: take it up, execute its plan's steps, build, release, ask for promotions."""
