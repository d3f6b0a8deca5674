"""The greeter service: greetings as JSON."""
