"""Measures the service beside other engines, interleaved in one run, on the same weights and with the same client."""
