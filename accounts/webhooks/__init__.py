"""Telling a person's own programs what happened: `publishing` stores it, `sending` delivers, `network` keeps it safe.

Headers and signature are those of Standard Webhooks (standardwebhooks.com), so that its libraries verify them.
"""
