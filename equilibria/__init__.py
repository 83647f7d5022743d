"""Will they come, and stay: games, equilibria, unravelling and verification."""
