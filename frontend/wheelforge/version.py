"""The version, said once: the wheel's metadata takes it from here, and asking costs nothing."""

VERSION = "0.1.0"
