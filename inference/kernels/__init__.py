"""A decoder's whole forward pass in C++ for CPUs: built on first use, absent where there is no compiler."""
