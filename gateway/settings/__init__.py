"""The written configuration, its checks, and the compiled snapshot."""
