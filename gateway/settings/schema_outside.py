"""What the written form of rules knows of detectors outside of the engine: their names, and where a service may be."""

import re
from typing import Annotated, Literal, get_args
from urllib.parse import urlsplit

from pydantic import AfterValidator

Service = Literal[
    "openai_moderations", "presidio", "lakera", "azure", "bedrock", "llama_guard", "litellm", "webhook"
]  # fmt: skip
SERVICES = get_args(Service)
OUTSIDE = ("external", "ner", "prompt_leak", "json_schema")
"""Names of `detect:` whose findings are brought to the engine from outside."""
OF_ANSWERS = ("prompt_leak", "json_schema")
"""Those that judge an answer by its request."""
_URL = "allowed is an http or https URL such as https://api.lakera.ai"


def check_service_url(text: str) -> str:
    """An http(s) URL without credentials; a webhook's may have a query."""
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        raise ValueError(f"this is not a URL; {_URL}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or not re.fullmatch(r"[\x21-\x7e]+", text):
        raise ValueError(f"this is not an http or https URL; {_URL}")
    if "@" in parts.netloc or parts.fragment or parts.port == 0:
        raise ValueError(f"the URL of a service has no credentials, fragment or port 0; {_URL}")
    return text


ServiceUrl = Annotated[str, AfterValidator(check_service_url)]
