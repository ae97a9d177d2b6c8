"""Injection, jailbreak, unsafe content and leaks, judged in process: a linear model, heuristics, no download."""

from .classifier import InjectionClassifier, SafetyClassifier
from .leak import PromptLeak
from .links import LinkDetector
from .schema import fault, validity

__all__ = ["InjectionClassifier", "LinkDetector", "PromptLeak", "SafetyClassifier", "fault", "validity"]
