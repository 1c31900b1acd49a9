"""OpenID Connect, in two parts: `provider` (who they are) and `tokens` (whether to believe it)."""
