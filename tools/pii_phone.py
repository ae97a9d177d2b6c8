"""Rebuild `guardrails/pii/data/phone.json` from an installed phonenumbers: `python tools/pii_phone.py`.

phonenumbers (Apache-2.0, libphonenumber's metadata; needed by this script only) knows which digits are a number in each
country. We keep what the question "is this a valid number?" needs: a pattern of the national numbers by calling code,
trunk prefixes, and for the regions Presidio tries, how a number is dialled there.
"""

import json
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

import phonenumbers as lib

TARGET = Path(__file__).resolve().parent.parent / "guardrails" / "pii" / "data" / "phone.json"
REGIONS = ("US", "GB", "DE", "FR", "IL", "IN", "CA", "BR")
"""Presidio's default regions."""
TYPES = (
    "fixed_line", "mobile", "toll_free", "premium_rate", "shared_cost", "personal_number", "voip", "pager", "uan",
    "voicemail",
)  # fmt: skip


def metadata(code: int, region: str) -> Any:
    return lib.PhoneMetadata.metadata_for_region_or_calling_code(code, region)


def valid(code: int, regions: tuple[str, ...]) -> str:
    """A pattern of all national significant numbers of a calling code."""
    patterns: dict[str, None] = {}
    for region in regions:
        found = metadata(code, region)
        for kind in TYPES:
            described = getattr(found, kind) if found else None
            pattern = described.national_number_pattern if described else None
            if pattern and pattern != "NA":
                lead = f"(?={found.leading_digits})" if found.leading_digits and len(regions) > 1 else ""
                patterns[f"{lead}(?:{pattern})"] = None
    return "|".join(patterns)


def trunk(found: Any) -> dict[str, str]:
    transform = found.national_prefix_transform_rule
    return {
        "prefix": found.national_prefix_for_parsing or "",
        "transform": re.sub(r"\$(\d)", r"\\\1", transform) if transform else "",
    }


def sizes(region: str) -> set[int]:
    described = lib.PhoneMetadata.metadata_for_region(region)
    kinds = [getattr(described, kind) for kind in ("general_desc", *TYPES)]
    return {size for kind in kinds if kind for size in kind.possible_length or () if size > 0}


def needs_prefix(found: Any) -> list[list[Any]]:
    """By format, in order: leading digits, whole number, and whether it is never written without the trunk prefix."""
    formats: list[list[Any]] = []
    for one in found.number_format:
        rule = one.national_prefix_formatting_rule or ""
        required = (
            bool(rule) and not one.national_prefix_optional_when_formatting and not re.fullmatch(r"\(?[$\\]1\)?", rule)
        )
        lead = one.leading_digits_pattern[-1] if one.leading_digits_pattern else ""
        formats.append([lead, one.pattern, required])
    return formats


def main() -> None:
    codes: dict[str, Any] = {}
    for code, regions in sorted(lib.COUNTRY_CODE_TO_REGION_CODE.items()):
        found = metadata(code, regions[0])
        codes[str(code)] = {"valid": valid(code, regions), **trunk(found)}
    written = {
        "source": f"phonenumbers {version('phonenumbers')}, libphonenumber's metadata",
        "license": "Apache-2.0",
        "made by": "tools/pii_phone.py",
        "codes": codes,
        "regions": {},
    }
    for region in REGIONS:
        found = lib.PhoneMetadata.metadata_for_region(region)
        written["regions"][region] = {
            "code": found.country_code,
            "abroad": found.international_prefix,
            "lengths": sorted(
                {size for one in lib.COUNTRY_CODE_TO_REGION_CODE[found.country_code] for size in sizes(one)}
            ),
            "formats": needs_prefix(found),
            **trunk(found),
        }
    TARGET.write_text(json.dumps(written, indent=1) + "\n", "utf-8")
    print(f"{len(codes)} calling codes, {len(REGIONS)} regions")  # noqa: T201


if __name__ == "__main__":
    main()
