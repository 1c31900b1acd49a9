"""Signing in with an account elsewhere: Google and any OpenID Connect server (`openid`), and GitHub (`github`).

django-allauth leads the person there and back; here is what it leaves out: an id token is believed only with its
signature, issuer, audience, time and nonce, and no more is kept of the other site's profile than is shown.
"""
