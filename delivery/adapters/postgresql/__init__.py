"""PostgreSQL: the ledger, its projections and the operations tables. Only here is SQLAlchemy imported."""
