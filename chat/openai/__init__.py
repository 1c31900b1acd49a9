"""OpenAI's API in front of the model service: `/v1/chat/completions`, `/v1/completions`, `/v1/models`.

A request passes through the same entitlements, quotas and priorities as a message on the web: `admission` takes,
`relay` streams, `settlement` counts what was delivered. No text of a request or an answer is stored, except the answer
to a request with an Idempotency-Key, for a day.
"""
