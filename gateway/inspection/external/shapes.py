"""Which class speaks which wire shape."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from gateway.inspection.external.azure import AzureContentSafety
from gateway.inspection.external.bedrock import Bedrock
from gateway.inspection.external.config import ExternalConfig, Kind
from gateway.inspection.external.lakera import Lakera
from gateway.inspection.external.litellm import LiteLLM
from gateway.inspection.external.llama_guard import LlamaGuard
from gateway.inspection.external.moderations import Moderations
from gateway.inspection.external.presidio import Presidio
from gateway.inspection.external.shape import Shape
from gateway.inspection.external.webhook import Webhook

SHAPES: Mapping[Kind, Callable[[ExternalConfig], Shape]] = MappingProxyType(
    {
        "openai-moderations": Moderations,
        "presidio": Presidio,
        "lakera": Lakera,
        "azure-content-safety": AzureContentSafety,
        "bedrock": Bedrock,
        "llama-guard": LlamaGuard,
        "litellm": LiteLLM,
        "webhook": Webhook,
    }
)


def shape_of(config: ExternalConfig) -> Shape:
    """The shape a configuration names, ready to be asked."""
    return SHAPES[config.kind](config)
