"""tests/README.md says of trust what was measured, and nothing else."""

import json

from tests.support.source import ROOT
from tests.trust import SECTIONS
from tests.trust.table import make_table

README = (ROOT / "tests" / "README.md").read_text(encoding="utf-8")
RECORD = json.loads((ROOT / "tests" / "trust.json").read_text(encoding="utf-8"))


def test_trust__manual_has_the_figures_of_the_record() -> None:
    assert make_table(RECORD) in README


def test_trust__record_has_figures_of_every_section() -> None:
    assert RECORD.keys() == SECTIONS.keys()


def test_trust__nothing_was_wrong_but_what_was_broken_on_purpose() -> None:
    for figures in RECORD.values():
        assert figures["violations"] == 0
        assert figures.get("controls_found") == figures.get("controls")
