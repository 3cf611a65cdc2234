"""North American coupon codes: the contents of AI (8110) and AI (8112).

Sources: "North American Coupon Application Guideline Using GS1 DataBar Expanded Symbols" and
"GS1 AI (8112) Coupon Data Specification", as the linters `couponcode` and `couponposoffer` of the
GS1 Barcode Syntax Dictionary read them.
"""

from collections.abc import Callable

_DIGITS = frozenset("0123456789")

# What is wrong with a GS1 Company Prefix or with a date, or None.
Check = Callable[[str], str | None]


class _CouponFault(Exception):
    """Carries the sentence about the first fault."""


class _Reader:
    """Reads a coupon's digits from left to right, field by field."""

    def __init__(self, value: str) -> None:
        if not _DIGITS.issuperset(value):
            raise _CouponFault("a coupon code has digits only")
        self._rest = value

    def next_is(self, digit: str) -> bool:
        """True, and the digit is consumed, if it introduces the next optional field."""
        if not self._rest.startswith(digit):
            return False
        self._rest = self._rest[1:]
        return True

    def one_of(self, name: str, allowed: str) -> int:
        """One digit out of `allowed`."""
        digit = self.take(name, 1)
        if digit not in allowed:
            raise _CouponFault(f"the {name} is one of {allowed}, not {digit}")
        return int(digit)

    def take(self, name: str, length: int) -> str:
        """So many digits."""
        taken, self._rest = self._rest[:length], self._rest[length:]
        if len(taken) < length:
            raise _CouponFault(f"the {name} is missing or cut short")
        return taken

    def end(self) -> None:
        """Nothing may be left."""
        if self._rest:
            raise _CouponFault(f"{len(self._rest)} digits too many at the end of the coupon code")


def coupon_code_problem(value: str, gcp_problem: Check, date_problem: Check) -> str | None:
    """What is wrong with the value of AI (8110), or None."""
    try:
        reader = _Reader(value)
        _read_base(reader, gcp_problem)
        _read_further_purchases(reader, gcp_problem)
        _read_dates(reader, date_problem)
        if reader.next_is("5"):
            length = reader.one_of("length of the serial number", "0123456789")
            reader.take("serial number", length + 6)
        if reader.next_is("6"):
            _read_prefix(reader, "retailer's company prefix or GLN", "1234567", gcp_problem)
        if reader.next_is("9"):
            reader.one_of("save value code", "01256")
            reader.one_of("item that the save value applies to", "012")
            reader.take("store coupon flag", 1)
            reader.one_of("don't multiply flag", "01")
        reader.end()
    except _CouponFault as fault:
        return str(fault)
    return None


def positive_offer_problem(value: str) -> str | None:
    """What is wrong with the value of AI (8112), or None."""
    try:
        reader = _Reader(value)
        reader.one_of("format code", "01")
        length = reader.one_of("length of the funder", "0123456")
        reader.take("funder", length + 6)
        reader.take("offer code", 6)
        length = reader.one_of("length of the serial number", "0123456789")
        reader.take("serial number", length + 6)
        reader.end()
    except _CouponFault as fault:
        return str(fault)
    return None


def _read_base(reader: _Reader, gcp_problem: Check) -> None:
    _read_prefix(reader, "primary company prefix", "0123456", gcp_problem)
    reader.take("offer code", 6)
    length = reader.one_of("length of the save value", "12345")
    reader.take("save value", length)
    _read_purchase(reader, "first")


def _read_further_purchases(reader: _Reader, gcp_problem: Check) -> None:
    if reader.next_is("1"):
        reader.one_of("additional purchase rules code", "0123")
        _read_purchase(reader, "second")
        _read_prefix(reader, "second purchase's company prefix", "01234569", gcp_problem)
    if reader.next_is("2"):
        _read_purchase(reader, "third")
        _read_prefix(reader, "third purchase's company prefix", "01234569", gcp_problem)


def _read_dates(reader: _Reader, date_problem: Check) -> None:
    expires = _read_date(reader, "expiration date", date_problem) if reader.next_is("3") else None
    starts = _read_date(reader, "start date", date_problem) if reader.next_is("4") else None
    if expires is not None and starts is not None and starts > expires:
        raise _CouponFault("the coupon expires before it starts")


def _read_purchase(reader: _Reader, ordinal: str) -> None:
    length = reader.one_of(f"length of the {ordinal} purchase requirement", "12345")
    reader.take(f"{ordinal} purchase requirement", length)
    reader.one_of(f"{ordinal} purchase requirement code", "012349")
    reader.take(f"{ordinal} purchase family code", 3)


def _read_prefix(reader: _Reader, name: str, lengths: str, gcp_problem: Check) -> None:
    length = reader.one_of(f"length of the {name}", lengths)
    if length == 9:
        return
    problem = gcp_problem(reader.take(name, length + 6))
    if problem is not None:
        raise _CouponFault(f"the {name}: {problem}")


def _read_date(reader: _Reader, name: str, date_problem: Check) -> str:
    date = reader.take(name, 6)
    problem = date_problem(date)
    if problem is not None:
        raise _CouponFault(f"the {name}: {problem}")
    return date
