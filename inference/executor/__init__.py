"""What runs a model's arithmetic: the interface in base.py, and one module for each way of doing it."""
