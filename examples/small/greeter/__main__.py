"""`python3 -m greeter`: serve on PORT."""

from shared.serving import serve

from greeter.greetings import ROUTES

serve(ROUTES)
