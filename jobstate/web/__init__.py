"""Routes for web apps: FastAPI, Flask and Django share what is here; see their modules."""
