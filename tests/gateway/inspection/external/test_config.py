"""A detector's configuration keeps its credentials to itself."""

from gateway.inspection.external.config import ExternalConfig


def test_a_configuration_does_not_show_its_credentials() -> None:
    config = ExternalConfig(name="n", kind="webhook", base_url="https://h/secret-path", api_key="secret",
                            key_id="secret", session_token="secret", headers={"x": "secret"})  # fmt: skip
    assert repr(config) == "ExternalConfig(name='n', kind='webhook')"


def test_unchanged_configurations_are_equal() -> None:
    assert ExternalConfig(name="n", kind="lakera", base_url="u") == ExternalConfig(
        name="n", kind="lakera", base_url="u"
    )
