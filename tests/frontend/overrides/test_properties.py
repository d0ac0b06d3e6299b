"""Files of overrides that nobody would write: each is read, or refused in one sentence."""

import tempfile
from contextlib import suppress
from pathlib import Path

import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from tests.support.universe import PYTHON
from wheelforge.errors import UsageError
from wheelforge.overrides.model import read_overrides
from wheelforge.overrides.patches import apply_patch
from wheelforge.overrides.toml_file import TomlFile

TEXTS = st.one_of(
    st.sampled_from(("demo", "A.b", ">=1", "x<2", "os_name > 'x'", "2h", "never", "a.patch", "")),
    st.text(st.characters(codec="utf-8"), max_size=6),
)
VALUES = st.recursive(
    st.one_of(TEXTS, st.integers(-9, 9), st.booleans(), st.dates(), st.floats()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=4,
)
LISTS = st.fixed_dictionaries(
    {},
    optional={
        name: st.one_of(st.lists(TEXTS, max_size=2), VALUES)
        for name in ("replace", "add", "remove")
    },
)
LIMITS = ("timeout", "memory", "jobs", "exclusive")
METADATA = {"requires-dist": LISTS, "classifiers": LISTS, "requires-python": TEXTS}
ENTRIES = st.one_of(
    st.fixed_dictionaries(
        {"name": st.one_of(st.just("demo"), TEXTS), "reason": st.one_of(st.just("old"), TEXTS)},
        optional={
            "versions": TEXTS,
            "when": TEXTS,
            "ignore-missing": st.booleans(),
            "build-requires": LISTS,
            "metadata": st.one_of(st.fixed_dictionaries(METADATA), VALUES),
            "environment": st.dictionaries(TEXTS, TEXTS, max_size=2),
            "config-settings": st.dictionaries(TEXTS, VALUES, max_size=2),
            "patches": st.lists(TEXTS, max_size=2),
            "delete": st.lists(TEXTS, max_size=2),
            "limits": st.one_of(st.dictionaries(st.sampled_from(LIMITS), VALUES), VALUES),
            "era": TEXTS,
            "build": TEXTS,
        },
    ),
    st.dictionaries(TEXTS, VALUES, max_size=3),
)
DOCUMENTS = st.one_of(
    st.fixed_dictionaries({"package": st.lists(ENTRIES, max_size=3)}),
    st.dictionaries(TEXTS, VALUES, max_size=3),
)


@given(document=DOCUMENTS, junk=st.one_of(st.just(""), st.text(max_size=4)))
def test_file__is_read_or_refused(document: dict[str, object], junk: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name, "x.toml")
        content = f"{tomli_w.dumps(document)}{junk}"
        path.write_bytes(content.encode("utf-8", "surrogatepass"))
        with suppress(UsageError):
            overrides = read_overrides((), [path])
            if overrides is not None:
                overrides.find("demo", "1.0", PYTHON.markers).list_applied()


@given(document=st.dictionaries(TEXTS, VALUES, max_size=4))
def test_lines__of_all_keys_are_known(document: dict[str, object]) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name, "x.toml")
        path.write_text(tomli_w.dumps(document), encoding="utf-8", newline="")
        file = TomlFile(path)

        lines = {file.line(key) for key in document}

    assert 0 not in lines
    assert len(lines) == len(document)


LINES = st.lists(st.sampled_from((b"a\n", b"b\n", b"c", b"\n", b"\r\n")), max_size=6)


@given(old=LINES, patch=st.binary(max_size=40))
def test_patch__of_any_bytes_is_applied_or_refused(old: list[bytes], patch: bytes) -> None:
    head = b"--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n"
    for content in (patch, head + patch):
        with suppress(ValueError):
            apply_patch(content, lambda _: b"".join(old))
