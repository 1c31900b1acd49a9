"""The same real server that the integration tests use."""

from tests.integration.inference.conftest import client, default_model, server

__all__ = ["client", "default_model", "server"]
