"""The model service: an OpenAI-compatible HTTP server for small language models. It knows nothing of the web."""
