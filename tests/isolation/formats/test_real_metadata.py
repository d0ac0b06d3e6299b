"""The fields of real wheels, held to `packaging.metadata`.

`fixtures/metadata.json.xz` has METADATA of 966 wheels of 881 projects, 561 of them among the 1,000
most downloaded, each up to the first words of its description; bytes are written as Latin-1.
"""

import json
import lzma
from typing import cast

import pytest
from packaging.metadata import parse_email

from tests.support.corpus import FIXTURES
from wheelforge_isolation.formats.metadata import all_values, only_value, parse_fields

LISTS = {
    "Classifier": "classifiers",
    "License-File": "license_files",
    "Provides-Extra": "provides_extra",
    "Requires-Dist": "requires_dist",
}
SINGLE = {
    "Metadata-Version": "metadata_version",
    "Name": "name",
    "Requires-Python": "requires_python",
    "Version": "version",
}


@pytest.fixture(scope="module")
def real() -> dict[str, bytes]:
    packed = (FIXTURES / "metadata.json.xz").read_bytes()
    files = cast("dict[str, str]", json.loads(lzma.decompress(packed)))
    return {name: text.encode("latin-1") for name, text in files.items()}


def test_parse_fields__finds_in_real_wheels_what_packaging_finds(real: dict[str, bytes]) -> None:
    for name, content in real.items():
        fields, (metadata, unread) = parse_fields(content), parse_email(content)
        ours: dict[str, object] = {key: all_values(fields, field) for field, key in LISTS.items()}
        ours |= {key: only_value(fields, field) for field, key in SINGLE.items()}

        theirs: dict[str, object] = {key: metadata.get(key, []) for key in LISTS.values()}
        theirs |= {key: metadata.get(key) for key in SINGLE.values()}
        assert (name, ours) == (name, theirs)
        assert unread.keys() & {field.lower() for field in LISTS | SINGLE} == set()
