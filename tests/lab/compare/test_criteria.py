import re

from lab.compare.criteria import CRITERIA, SOURCES

OURS = {
    *("end-to-end latency", "throughput", "cost", "reaction of the services", "blast radius", "coupling"),
    *("a new service", "visibility", "compensation under faults", "cancellation"),
}


def test_each_criterion_of_ours_says_whether_a_catalogue_has_it() -> None:
    assert set(CRITERIA) == OURS


def test_each_catalogue_that_is_named_is_listed_in_full_and_none_is_listed_for_nothing() -> None:
    named = {found for name in CRITERIA.values() if name for found in re.findall(r"\((\w+) et al\. (\d{4})\)", name)}
    listed = [re.search(r"^\w\. (\w+),.* (\d{4})\), .*https://doi\.org/10\.", source) for source in SOURCES]

    assert [found and found.groups() for found in listed] == [("Megargel", "2021"), ("Dürr", "2022")]
    assert named == {found.groups() for found in listed if found}


def test_what_the_first_catalogue_does_not_list_in_its_abstract_is_not_ascribed_to_it() -> None:
    ascribed = {
        part.removesuffix(" (Megargel et al. 2021)")
        for name in CRITERIA.values()
        for part in (name or "").split("; ")
        if "Megargel" in part
    }

    assert ascribed <= {"coupling", "chattiness", "visibility", "design"}
