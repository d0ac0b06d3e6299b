"""One build, from the request to the outcome."""
