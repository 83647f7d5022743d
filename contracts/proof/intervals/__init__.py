"""The proof kernel over ball arithmetic: what it finds are theorems about the numbers in a file."""
