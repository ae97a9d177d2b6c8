"""The load generator: several processes, open and closed loop, unary and streamed, percentiles that merge exactly."""

from loadtest.generator.result import Result
from loadtest.generator.run import LoadError, Run
from loadtest.generator.scenario import LoadScenario, read_load

__all__ = ["LoadError", "LoadScenario", "Result", "Run", "read_load"]
