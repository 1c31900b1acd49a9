"""GitHub and GitHub Enterprise, which speak OAuth 2 without OpenID Connect."""
