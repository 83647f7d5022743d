"""Branch and bound over contributions, for curves that are not concave from the first datum."""
