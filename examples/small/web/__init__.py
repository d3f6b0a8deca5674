"""The web service: a front page."""
