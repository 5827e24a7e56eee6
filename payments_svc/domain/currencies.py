"""Currencies: which ones can be paid in now, and the minor units of every one that there ever was.

These are two questions. A country that takes another currency does not take back what was paid: a payment is shown, and
refunded, in the currency that it was made in.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from iso4217 import Currency, raw_xml

_GONE: Mapping[int, str] = {
    0: "ADP AON AOR BEF BYB BYR ECS ESP GRD ITL LUF MGF PTE TPE TRL",
    2: "AFA ANG ATS AYM AZM BGL BGN CSD CUC CYP DEM EEK FIM FRF GHC GHP HRK IEP LTL LVL MRO MTL MZM NLG ROL RUR SDD SIT"
    " SKK SLL SRG STD TJR TMM VEB VEF YUM ZMK ZWD ZWL ZWN ZWR",
}
WITHDRAWN: Mapping[str, int] = MappingProxyType(
    {code: exponent for exponent, codes in _GONE.items() for code in codes.split()}
)
"""Exponents of the currencies that ISO 4217 has taken off its list since 2000; the library knows only those of today.

A currency that leaves the list comes here. So does one whose exponent changes, with the one that its amounts have had
so far: this table wins.
"""


def _listed() -> dict[str, int]:
    """Return the minor unit's exponent of every currency that people pay in today.

    ISO 4217 also lists metals and test codes, which have no minor unit, and units of account ("funds").
    """
    names = raw_xml.iterfind("CcyTbl/CcyNtry")
    funds = {entry.findtext("Ccy") for entry in names if entry.find("CcyNm[@IsFund='true']") is not None}
    return {each.code: each.exponent for each in Currency if each.exponent is not None and each.code not in funds}


EXPONENTS: Mapping[str, int] = MappingProxyType({**_listed(), **WITHDRAWN})
"""Of every currency that a payment may have been made in. What was in here once has to stay, as it was."""

SPENDABLE = frozenset(_listed())
"""What can be paid in now."""
