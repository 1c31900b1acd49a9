"""The GPU path: the decoder as a TensorRT network, the plans built from it, and what runs them."""
