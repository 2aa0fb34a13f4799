"""Text from anybody made safe for a terminal."""


def printable(text: str) -> str:
    """The text with what a terminal would obey written out: names and reasons may hold escape sequences."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)
