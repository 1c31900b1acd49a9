"""Gates: what keeps a row out of a release, each in a file of its own."""
