"""The API as one object, mounted at `/api/v1/`."""

from ninja import NinjaAPI

api = NinjaAPI(title="Stemma portal", version="1", urls_namespace="api")
