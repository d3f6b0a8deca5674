"""The domain: decisions as plain functions over frozen values. Nothing here knows Prefect."""
