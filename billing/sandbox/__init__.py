"""The simulated Stripe: what Parley needs of Stripe's API, hosted pages and webhooks, on this machine. No money moves.

A process of its own that the app knows only by its address. It imports nothing of the app, and no app imports it.
docs/stripe-sandbox.md says what it simulates and what it does not.
"""
