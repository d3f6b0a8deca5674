"""Words that were probably meant by others."""

import difflib
from collections.abc import Collection

_LONGEST = 100
_MOST_KNOWN = 300


def closest(word: str, known: Collection[str]) -> str:
    """The known word that an unknown one is probably meant to be; empty when none is close."""
    unknown = word.lower()
    if not 0 < len(unknown) <= _LONGEST:
        return ""
    by_case = {one.lower(): one for one in list(known)[:_MOST_KNOWN]}
    beginnings = [one for one in by_case if one.startswith(unknown)]
    near = beginnings if len(beginnings) == 1 else difflib.get_close_matches(unknown, by_case, n=1)
    return by_case[near[0]] if near else ""
