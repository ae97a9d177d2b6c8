"""The bundled mock provider: OpenAI's and Anthropic's operations, with scenarios for everything that goes wrong."""

from loadtest.markedyaml import ScenarioError
from loadtest.mock.scenario import ScenarioFile
from loadtest.mock.server import MockProvider, run_mock

__all__ = ["MockProvider", "ScenarioError", "ScenarioFile", "run_mock"]
