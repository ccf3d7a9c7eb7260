"""HTTP: the WSGI application, and the runtime that serves the generated routes."""
