"""Tests of the services, over real HTTP."""
