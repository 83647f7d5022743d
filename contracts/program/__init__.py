"""First-moment programs: expectations without enumeration, and the methods that solve one or many at once."""
