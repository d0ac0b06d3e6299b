"""Tags of Pythons that this machine does not have, made of the facts that they would report."""

import struct

import pytest

from wheelforge_isolation.interpreter.tags import list_tags

GLIBC = {
    "implementation": "cpython",
    "version": "3.13.0",
    "version_info": [3, 13],
    "version_nodot": "313",
    "soabi": "cpython-313-x86_64-linux-gnu",
    "is_free_threaded": False,
    "is_debug": False,
    "platform": "linux-x86_64",
    "is_32_bit": False,
    "glibc_version": [2, 18],
    "musl_loader": "",
    "elf_header": "",
    "macos": None,
    "android_api_level": None,
    "refused_platforms": [],
}
MUSL = {"glibc_version": None, "musl_loader": "musl libc (x86_64)\nVersion 1.2.3\nDynamic Program"}


def elf_header(machine: int, flags: int = 0, *, bits: int = 32) -> str:
    return struct.pack("<4sBB12xH16xI12x", b"\x7fELF", bits // 32, 1, machine, flags).hex()


def platforms(**changed: object) -> list[str]:
    """Return the platforms, in order, of a Python with some facts changed."""
    tags = list_tags({**GLIBC, **changed})
    return list(dict.fromkeys(tag.split("-")[2] for tag in tags))[:-1]


def first_abis(**changed: object) -> list[str]:
    """Return interpreter and ABI of the first tags, whatever the platform."""
    pairs = [tag.rpartition("-")[0] for tag in list_tags({**GLIBC, **changed})]
    return list(dict.fromkeys(pairs))[:3]


def test_glibc__its_platforms_end_with_the_oldest_that_manylinux_knows() -> None:
    found = platforms()

    assert found[:4] == [
        "linux_x86_64",
        "manylinux_2_18_x86_64",
        "manylinux_2_17_x86_64",
        "manylinux2014_x86_64",
    ]
    assert found[-2:] == ["manylinux_2_5_x86_64", "manylinux1_x86_64"]
    assert platforms(platform="linux-aarch64")[-2:] == [
        "manylinux_2_17_aarch64",
        "manylinux2014_aarch64",
    ]


def test_glibc__machine_that_manylinux_does_not_know_takes_wheels_of_its_own_only() -> None:
    assert platforms(platform="linux-mips64") == ["linux_mips64"]


def test_glibc__refused_platform_takes_its_older_name_with_it() -> None:
    found = platforms(refused_platforms=["manylinux_2_17_x86_64"])

    assert found[1:3] == ["manylinux_2_18_x86_64", "manylinux_2_16_x86_64"]
    assert "manylinux2014_x86_64" not in found


def test_musl__its_loader_tells_the_version() -> None:
    expected = ["linux_x86_64", *(f"musllinux_1_{minor}_x86_64" for minor in (2, 1, 0))]

    assert platforms(**MUSL) == expected
    assert platforms(glibc_version=None, musl_loader="no such thing\n") == ["linux_x86_64"]


@pytest.mark.parametrize(
    ("header", "is_manylinux"),
    [
        (elf_header(3), True),
        (elf_header(62), False),  # x32: 32-bit pointers, and instructions of x86_64
        (elf_header(62, bits=64), False),
        (b"#!/bin/sh".hex(), False),
        ("", False),
    ],
)
def test_32_bit__x86_is_told_by_the_program(header: str, *, is_manylinux: bool) -> None:
    found = platforms(is_32_bit=True, elf_header=header)

    assert found[0] == "linux_i686"
    assert ("manylinux1_i686" in found) is is_manylinux


@pytest.mark.parametrize(("flags", "is_manylinux"), [(0x05000400, True), (0x05000200, False)])
def test_32_bit__arm_needs_hard_float(flags: int, *, is_manylinux: bool) -> None:
    header = elf_header(40, flags)

    assert (
        "manylinux_2_17_armv7l"
        in platforms(platform="linux-armv7l", is_32_bit=True, elf_header=header)
    ) is is_manylinux
    assert platforms(platform="linux-aarch64", is_32_bit=True, elf_header=header)[:2] == [
        "linux_armv8l",
        "linux_armv7l",
    ]


def test_other_systems__their_platforms_come_from_packaging() -> None:
    mac = platforms(platform="macosx-11.0-arm64", system="Darwin", macos=["14.2", "arm64"])
    android = platforms(platform="android-24-arm64_v8a", system="Android", android_api_level=24)

    assert mac[:3] == ["macosx_14_0_arm64", "macosx_14_0_universal2", "macosx_13_0_arm64"]
    assert android[0] == "android_24_arm64_v8a"
    assert android[-1] == "android_16_arm64_v8a"
    assert platforms(platform="win-amd64", system="Windows", glibc_version=None) == ["win_amd64"]


def test_abi__debug_builds_take_wheels_of_others_too() -> None:
    assert first_abis(is_debug=True) == ["cp313-cp313d", "cp313-cp313", "cp313-abi3"]


def test_abi__free_threads_have_no_stable_abi_of_the_old_kind() -> None:
    found = [tag.split("-")[1] for tag in list_tags({**GLIBC, "is_free_threaded": True})]

    assert found[0] == "cp313t"
    assert "abi3" not in found


@pytest.mark.parametrize(
    ("implementation", "soabi", "first"),
    [
        ("pypy", "pypy310-pp73-x86_64-linux-gnu", "pp313-pypy310_pp73"),
        ("graalpy", "graalpy242-311-native-x86_64-linux", "graalpy313-graalpy242_311_native"),
        ("other", "other-1.2", "other313-other_1_2"),
    ],
)
def test_abi__of_others_starts_their_soabi(implementation: str, soabi: str, first: str) -> None:
    tags = list_tags({**GLIBC, "implementation": implementation, "soabi": soabi})

    assert tags[0].startswith(f"{first}-linux_x86_64")
    assert ("pp3-none-any" in tags) is (implementation == "pypy")
