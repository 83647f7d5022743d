"""Problems beyond the published contract, each with its own program and certificate."""
