"""The built-in incident detector: for those who run no Prometheus.

    metrics page → Sample → History → detectors → findings → Book → changes → ledger, timeline, notifications

All but `watch.py` is pure: values in, values out, no clock and no I/O.
"""
