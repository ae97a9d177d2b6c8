"""Injection, jailbreak, unsafe content and leaks, judged in process: a linear model, heuristics, no download."""
