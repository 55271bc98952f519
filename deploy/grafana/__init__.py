"""The dashboards: written here in Python, checked in beside it as the JSON that Grafana reads."""
