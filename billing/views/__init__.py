"""Pages about plans and money. Each view parses, authorises, calls one function, answers."""
