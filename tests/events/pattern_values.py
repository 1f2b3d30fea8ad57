"""What patterns and events are made of in `pattern_pairs.py`: few values, so that many meet; and what is no pattern.

Numbers stand between number signs, so that their spelling is kept.
"""

from typing import Any

NAMES = ["a", "a", "b", "b", "c", "a.b", "b.c", "a.b.c"]
ODD_NAMES = ["", "a.", ".a", "b..c", ".", "prefix", "=", "é", "\U0001f600", "\uff5e"]

TEXTS = ["", "a", "b", "ab", "aba", "abab", "abba", "ba", "Ab", "aB", "AB", "x", "1", "true", "null"]
ODD_TEXTS = [
    # whose capitals are more than one letter, or whose small letter has another capital
    *("ß", "SS", "ss", "é", "É", "e\u0301", "\u017f", "S", "s", "\u212a", "k", "ǅ", "ǆ", "İ", "i̇", "ﬁ", "FI"),
    *("大雨", "雨", "\U0001f600", "??", "*", "a*b", "a\\b", "\\", 'a"', '"a', '"', "a\nb", "a.b"),
]

V4 = [
    *("10.0.0.1", "10.0.0.001", "::ffff:a00:1", "10.0.0.2", "10.0.1.1", "10.1.0.1", "192.168.0.255"),
    *("255.255.255.255", "0.0.0.0"),  # noqa: S104 - nothing is bound
]
V6 = [
    *("::1", "0:0:0:0:0:0:0:1", "0000:0::00001", "2001:db8::1", "2001:DB8::0001", "2001:db8:1::"),
    *("::", "1:2:3:4:5:6:7:8"),
]
NO_ADDRESSES = ["999.1.1.1", "10.0.0", "10.0.0.1.1", "12:30", ":", "1::2::3", "10.0.0.1 ", "::ffff:10.0.0.1"]
MASKS = [0, 1, 8, 15, 16, 24, 30, 31, 32, 64, 127, 128]

NUMBERS = [
    *("#0#", "#-0#", "#0.0#", "#1#", "#1.0#", "#1e0#", "#10e-1#", "#1.5#", "#15E-1#", "#2#", "#2.50#"),
    *("#-1#", "#-1.0#", "#100#", "#1e2#", "#1E+2#", "#5#"),
]
ODD_NUMBERS = [
    *("#9007199254740992#", "#9007199254740993#", "#1152921504606846976#", "#1e18#", "#1000000000000000000#"),
    *("#123456789012345678901234567890#", "#1e-7#", "#0.30000000000000004#", "#1e300#", "#-5e-300#"),
]
LOWER = [">", ">="]
UPPER = ["<", "<="]
SIGNS = [*LOWER, *UPPER, "="]

OPERATORS = [
    *("prefix", "suffix", "wildcard", "equals-ignore-case", "anything-but", "numeric"),
    *("cidr", "exists", "exactly", "regex", "$or"),
]
OPERANDS: list[Any] = [
    *(None, True, "#1#", "", "a", "**", "\\", "a\\b", [], [None], ["a"], ["a", "#1#"], ["#1#", "#2#"], {}),
    *({"prefix": ""}, {"suffix": ["a", ""]}, {"wildcard": ["a**"]}, {"numeric": ["=", "#1#"]}),
    *({"equals-ignore-case": ["a"]}, {"equals-ignore-case": "#1#"}, {"prefix": "a", "suffix": "b"}),
    *(["=", "#1#"], [">", "a"], ["<", "#1#", ">", "#0#"], [">", "#1#", "<", "#1#"], ["!=", "#1#"], [">", "#1#", "<"]),
    *("10.0.0.1", "10.0.0.1/", "10.0.0.1/33", "10.0.0.1/-1", "10.0.0.1/+8", "10.0.0.1/8/", "::/129", "a/8", "/8"),
]
"""Of which hardly any goes with an operator."""

NO_ALTERNATIVES: list[Any] = [{}, [], ["a"], {"prefix": "a", "suffix": "b"}]
NO_PATTERNS: list[dict[str, Any]] = [
    *({}, {"a": {}}, {"a": []}, {"a": "x"}, {"a": None}, {"a": "#1#"}, {"a": [{"anything-but": {"prefix": []}}]}),
    *({"$or": []}, {"$or": [{"a": ["x"]}]}, {"$or": {"a": ["x"]}}, {"$or": [{"a": ["x"]}, {}]}, {"$or": ["x", "y"]}),
    *({"$or": [{"prefix": "x"}, {"suffix": "y"}]}, {"$or": [{"a": ["x"]}, {"prefix": ["y"]}]}),
    *({"$or": [{"a": ["x"]}, {"b": {"=": ["y"]}}]}, {"a": {"$or": ["x"]}}),
]
