"""What the container images install: see `__main__.py`."""
