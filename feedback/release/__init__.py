"""Versioned preference data: membership frozen in one transaction, then files that trainers open as they are."""

import os

# Arrow asks when it is loaded. Of however many rows some 30 MB are held at once; mimalloc, its default, keeps up to
# 70 MB of what was given back, for which 300 MB have no room. Nor jemalloc, which starts threads of its own.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
