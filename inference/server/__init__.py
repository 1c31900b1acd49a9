"""The HTTP face of the model service, in OpenAI's shapes. Start at app.py."""
