"""The table of dimension strings in docs/rules.md: what it shows is parsed, what it excludes is refused."""

import re
from pathlib import Path

import pytest

from gradcheck.contracts import parse_shape
from gradcheck.errors import ContractError

TEXT = (Path(__file__).parent.parent.parent / "docs" / "rules.md").read_text()
SECTION = TEXT.split("| written | stands for |")[1].split("\n\n## ")[0].split("| domain |")[0]
TABLE, REFUSED = SECTION.split("What jaxtyping has and a contract has not")
WRITTEN = [
    text
    for row in TABLE.splitlines()
    if row.startswith('| `"')
    for text in re.findall(r'`"(.*?)"`', row.split(" | ")[0])
]


def test_the_table_is_found() -> None:
    assert len(WRITTEN) >= 12
    assert "(H-k)//s+1" in WRITTEN


@pytest.mark.parametrize("text", WRITTEN)
def test_what_the_table_shows_is_a_shape(text: str) -> None:
    assert len(parse_shape(text).axes) == len(text.split())


@pytest.mark.parametrize("text", re.findall(r'`"(.*?)"`', REFUSED))
def test_what_is_not_supported_is_refused_at_its_character(text: str) -> None:
    with pytest.raises(ContractError, match=r"character [12345]: "):
        parse_shape(text)
