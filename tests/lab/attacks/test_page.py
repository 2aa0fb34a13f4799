"""The tables of docs/attacks.md are what the code says. `python tests/lab/attacks/test_page.py` writes them."""

import re
from pathlib import Path

from solvent.cli.attack import markdown_table
from solvent.domain import origins
from solvent.lab.attacks.attack import played
from solvent.lab.attacks.table import ATTACKS

PAGE = Path(__file__).parents[3] / "docs" / "attacks.md"


def attacks() -> list[str]:
    chosen = list(ATTACKS.values())
    return markdown_table(chosen, [played(each) for each in chosen])


def rights() -> list[str]:
    """One row a command, one column an origin."""
    lines = ["| command | " + " | ".join(origins.ORIGINS) + " |", "|---|" + ":-:|" * len(origins.ORIGINS)]
    for command, allowed in origins.ALLOWED.items():
        marks = " | ".join("yes" if each in allowed else "" for each in origins.ORIGINS)
        lines.append(f"| `{command.__name__}` | {marks} |")
    return lines


TABLES = {"attacks": attacks, "origins": rights}


def body(page: str, name: str) -> str:
    found = re.search(f"<!-- {name} -->\n(.*?)<!-- /{name} -->", page, re.DOTALL)
    assert found is not None, name
    return found[1]


def test_the_tables_are_what_the_code_says() -> None:
    page = PAGE.read_text()
    for name, made in TABLES.items():
        assert body(page, name).strip().split("\n") == made()


def test_a_changed_figure_is_seen() -> None:
    assert body("<!-- attacks -->\n| 1 |\n<!-- /attacks -->", "attacks") != body(PAGE.read_text(), "attacks")


if __name__ == "__main__":
    text = PAGE.read_text()
    for name, made in TABLES.items():
        text = text.replace(f"<!-- {name} -->\n{body(text, name)}", f"<!-- {name} -->\n\n" + "\n".join(made()) + "\n\n")
    PAGE.write_text(text)
