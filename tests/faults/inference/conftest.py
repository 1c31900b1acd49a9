"""The same real server that the integration tests use."""

from tests.integration.inference.conftest import default_model, server

__all__ = ["default_model", "server"]
