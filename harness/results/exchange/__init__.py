"""A run's points in the forms of other tools, each figure under that tool's own definition."""
