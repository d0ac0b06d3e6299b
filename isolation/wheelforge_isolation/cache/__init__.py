"""The cache: its layout, wheels, built wheels and trees, and how it is verified and collected."""
