"""The filter of tarfile, asked about plans that no rule would make."""

import tarfile

import pytest

from wheelforge_isolation.archive.members import Kind, Member, Plan, RuleError
from wheelforge_isolation.archive.plan import ask_data_filter

pytestmark = pytest.mark.skipif(
    not hasattr(tarfile, "data_filter"), reason="this Python has no filter"
)
BAD = {
    "a file outside": Plan(
        top="p-1",
        directories={"p-1": None},
        files={"../a": Member(number=1, name="../a", kind=Kind.FILE)},
        links={},
    ),
    "a directory outside": Plan(top="p-1", directories={"p-1/../..": None}, files={}, links={}),
    "a link that leads out": Plan(top="p-1", directories={}, files={}, links={"p-1/a": "../../x"}),
    "an absolute link": Plan(top="p-1", directories={}, files={}, links={"p-1/a": "/etc"}),
}


@pytest.mark.parametrize("plan", BAD.values(), ids=BAD)
def test_second_opinion__plan_that_leads_out_is_refused(plan: Plan) -> None:
    with pytest.raises(RuleError) as caught:
        ask_data_filter(plan)

    assert caught.value.rule == "F23"


def test_second_opinion__link_into_another_directory_is_fine() -> None:
    plan = Plan(top="p-1", directories={"p-1/d": None}, files={}, links={"p-1/d/a": "../b"})

    ask_data_filter(plan)
