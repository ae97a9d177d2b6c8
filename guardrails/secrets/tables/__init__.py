"""The formats themselves, by the kind of service that hands them out."""
