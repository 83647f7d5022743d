"""The front door: command line, whole-scheme runs, sweeps, report."""
