"""The collector of cyclic garbage, in processes that answer people."""

import gc


def settle() -> None:
    """What is loaded by now stays for good: it is not looked through again each time, which was seen to take 0.19 s in
    the middle of somebody's request, and the rest less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)
