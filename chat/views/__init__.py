"""The chat pages. Each works as a plain page; a script asks for fragments with `X-Requested-With: fetch`."""
