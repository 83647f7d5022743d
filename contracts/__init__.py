"""What a contract is, which one is best, and the proof."""
