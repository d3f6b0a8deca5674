"""Where flows run: work pools, Prefect deployments, and the adapter that starts flow runs."""
