"""Objectives made into what Prometheus, Alertmanager and Grafana read. Pure: values in, text out."""
