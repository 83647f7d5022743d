"""Seeds: whole numbers that NumPy and JAX both take without folding two of them into one."""

LARGEST_SEED = 2**32 - 1
