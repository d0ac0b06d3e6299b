"""Where an artifact comes from: statements, their signatures, and what wheels contain."""
