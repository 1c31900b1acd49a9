"""A file's bytes to passages of text, in a process of its own under limits. No Django in it: it starts quickly."""
