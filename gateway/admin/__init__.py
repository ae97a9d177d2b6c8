"""Health, metrics and the JSON admin API, on Starlette."""
