"""Documents of a conversation: taken in, read in a worker, searched, and cited in its replies."""
