"""The route table agrees with a slow evaluator that tries every pattern in plain Python."""

import re

from hypothesis import given
from hypothesis import strategies as st

from mcproxy._speedups.plane.routes import RouteTable

# A small alphabet makes names and patterns meet.
LABEL = st.text("ab", min_size=1, max_size=3)
GLOB_LABEL = st.text("ab*", min_size=1, max_size=4).filter(lambda text: "**" not in text)
HOST = st.lists(LABEL, min_size=1, max_size=4).map(".".join)
PATTERN = st.one_of(
    st.just("*"),
    st.lists(LABEL, min_size=1, max_size=3).map(".".join),
    st.lists(LABEL, min_size=1, max_size=3).map(lambda labels: "*." + ".".join(labels)),
    st.lists(GLOB_LABEL, min_size=1, max_size=3).map(".".join),
)


def matches(pattern: str, host: str) -> bool:
    if pattern == "*":
        return True
    text = pattern
    lead = ""
    if text.startswith("*."):
        lead, text = r"(?s:.+)\.", text[2:]
    body = "".join("[^.]*" if c == "*" else re.escape(c) for c in text)
    return re.fullmatch(lead + body, host) is not None


def decide(domains: dict[str, int], host: str) -> int:
    if host in domains:
        return domains[host]
    fitting = [pattern for pattern in domains if "*" in pattern and matches(pattern, host)]
    if not fitting:
        return -1

    def specificity(pattern: str) -> tuple[int, int, str]:
        return -len(pattern.replace("*", "")), pattern.count("*"), pattern

    return domains[min(fitting, key=specificity)]


@given(
    domains=st.lists(PATTERN, max_size=12, unique=True),
    hosts=st.lists(st.one_of(HOST, st.text("ab.", max_size=12)), min_size=1, max_size=8),
)
def test_the_table_decides_as_the_rules_say(domains, hosts):
    numbered = {pattern: number for number, pattern in enumerate(domains)}
    table = RouteTable(numbered.items())
    for host in hosts:
        assert table.lookup(host.encode())[0] == decide(numbered, host), (host, domains)


@given(st.lists(PATTERN, max_size=12, unique=True), HOST, st.randoms())
def test_the_order_of_the_configuration_does_not_matter(domains, host, random):
    numbered = [(pattern, number) for number, pattern in enumerate(domains)]
    first = RouteTable(numbered).lookup(host.encode())[0]
    random.shuffle(numbered)
    assert RouteTable(numbered).lookup(host.encode())[0] == first


@given(st.binary(max_size=300), st.lists(PATTERN, max_size=6, unique=True))
def test_any_bytes_get_an_answer(host, domains):
    table = RouteTable(((pattern, 0) for pattern in domains), default=1)
    assert table.lookup(host)[0] in (0, 1)
