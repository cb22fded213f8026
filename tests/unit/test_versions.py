"""Protocol numbers of releases, and what an unknown number is handled as."""

import pytest

from mcproxy.minecraft import versions
from mcproxy.minecraft.versions import SNAPSHOT_BIT

# Numbers as the registries of Gate and Velocity have them.
NUMBERS = {
    "1.7.2": 4, "1.7.6": 5, "1.7.10": 5, "1.8": 47, "1.8.9": 47, "1.9": 107, "1.9.1": 108,
    "1.9.2": 109, "1.9.4": 110, "1.10": 210, "1.11": 315, "1.11.1": 316, "1.12": 335,
    "1.12.1": 338, "1.12.2": 340, "1.13": 393, "1.13.1": 401, "1.13.2": 404, "1.14": 477,
    "1.14.1": 480, "1.14.2": 485, "1.14.3": 490, "1.14.4": 498, "1.15": 573, "1.15.1": 575,
    "1.15.2": 578, "1.16": 735, "1.16.1": 736, "1.16.2": 751, "1.16.3": 753, "1.16.4": 754,
    "1.17": 755, "1.17.1": 756, "1.18": 757, "1.18.2": 758, "1.19": 759, "1.19.1": 760,
    "1.19.2": 760, "1.19.3": 761, "1.19.4": 762, "1.20": 763, "1.20.2": 764, "1.20.3": 765,
    "1.20.5": 766, "1.21": 767, "1.21.2": 768, "1.21.4": 769, "1.21.5": 770, "1.21.6": 771,
    "1.21.7": 772, "1.21.9": 773, "1.21.11": 774, "26.1": 775, "26.2": 776, "26.3": 777,
}  # fmt: skip


def test_every_release_has_the_number_that_other_proxies_know():  # M-15
    assert {name: versions.by_name(name).protocol for name in NUMBERS} == NUMBERS
    assert set(versions.KNOWN) == set(NUMBERS.values())


def test_releases_and_numbers_ascend():
    protocols = [version.protocol for version in versions.RELEASES]
    assert protocols == sorted(protocols)
    assert list(versions.KNOWN) == sorted(set(protocols))


def test_the_newest_release_is_the_last():
    assert (versions.newest().name, versions.newest().protocol) == ("26.3", 777)


def test_every_number_names_its_source():
    assert all("minecraft-data" in version.source for version in versions.RELEASES)


def test_a_known_number_is_the_newest_release_that_shares_it():
    assert versions.nearest(47).name == "1.8.9"
    assert versions.nearest(767).name == "1.21.1"


@pytest.mark.parametrize(
    ("unknown", "handled_as"),
    [(778, 777), (999_999, 777), (6, 5), (200, 110), (752, 751), (3, 4), (0, 4), (-1, 4)],
)
def test_an_unknown_release_is_handled_as_the_nearest_below(unknown, handled_as):
    assert not versions.is_known(unknown)
    assert versions.nearest(unknown).protocol == handled_as


@pytest.mark.parametrize(
    ("snapshot", "release"),
    # 21w07a of 1.17; 1.20.5-pre1; 26.1-snapshot-1, 26.3-rc-3 (minecraft-data); then unknown ones.
    [(15, 755), (185, 766), (287, 775), (338, 777), (400, 777), (2**29, 777)],
)
def test_a_snapshot_is_handled_as_the_release_it_led_to(snapshot, release):
    number = SNAPSHOT_BIT + snapshot
    assert versions.is_snapshot(number)
    assert not versions.is_known(number)
    assert versions.nearest(number).protocol == release


@pytest.mark.parametrize("protocol", [-1, -(2**31), 0, 4, 777, SNAPSHOT_BIT - 1])
def test_other_numbers_are_no_snapshots(protocol):
    assert not versions.is_snapshot(protocol)
