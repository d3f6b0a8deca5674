"""`python3 -m web`: serve on PORT."""

from shared.serving import serve

from web.pages import ROUTES

serve(ROUTES)
