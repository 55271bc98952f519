"""What of the Helm chart is written from the gateway's own code: see `__main__.py`."""
