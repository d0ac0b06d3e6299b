"""Reports of builds that are over, and events as they happen, for programs; and one page.

Reports are written whole or not at all. The JSON one has what pypa/build's report has, in the same
places, and everything else under names that are not used there; `report.schema.json`, beside this,
describes it and the events, and grows by new names only as long as its `schema` is 1.
"""

from __future__ import annotations

from wheelforge.report.comparison import GOOD, HEADINGS, compare, read_report
from wheelforge.report.json_report import SCHEMA, describe_outcome, describe_run, write_json_report
from wheelforge.report.junit import write_junit_report
from wheelforge.report.page import write_html_report
from wheelforge.report.run import Run, format_time, read_tail, tail_of
from wheelforge.report.stream import EventStream

__all__ = [
    "GOOD",
    "HEADINGS",
    "SCHEMA",
    "EventStream",
    "Run",
    "compare",
    "describe_outcome",
    "describe_run",
    "format_time",
    "read_report",
    "read_tail",
    "tail_of",
    "write_html_report",
    "write_json_report",
    "write_junit_report",
]
