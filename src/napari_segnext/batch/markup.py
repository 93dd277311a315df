"""Words of users within markup."""

from __future__ import annotations

from html import escape


def escaped(words: str) -> str:
    """Safe within HTML, XML and their attributes, whatever somebody called something."""
    return escape("".join(sign if sign.isprintable() else " " for sign in words))
