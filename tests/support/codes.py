"""Errors told apart by their code, where a class has several."""

from typing import Any

import pytest

from wheelforge_isolation import ForgeError


def raises(code: str, match: str | None = None) -> pytest.RaisesExc[Any]:
    """Return what ``pytest.raises`` does, for the errors of one code."""
    return pytest.RaisesExc(ForgeError, match=match, check=lambda error: error.code == code)
