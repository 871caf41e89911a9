"""The Flask application: what Label Studio asks (`protocol`), what programs ask (`api`), metrics and errors."""

from prelabel.server.app import create_app
from prelabel.server.serving import serve, serve_app

__all__ = ["create_app", "serve", "serve_app"]
